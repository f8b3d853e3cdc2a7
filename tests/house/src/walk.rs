//! Walks through one parsed file and notes what it defines, imports, names, says and logs.

use std::path::PathBuf;

use proc_macro2::Span;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Item, Meta, Token, UseTree};

use crate::pending::{Pending, locate};
use crate::tokens::{self, Mention};
use crate::tree::{DocLine, File, Function, Import, LogLine, Module};

const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// The walk through one file.
pub(crate) struct Walk<'a> {
    modules: &'a mut Vec<Module>,
    file: &'a mut File,
    /// The module in which the walk stands: the file's own, or a block in it.
    module: usize,
    /// Path of that module in its crate.
    path: Vec<String>,
    /// Folder of that module's children.
    folder: PathBuf,
    /// Whether test functions belong to the crate.
    tests: bool,
    /// Files that `mod` lines name.
    pub pending: Vec<Pending>,
}

impl<'a> Walk<'a> {
    /// Starts a walk through `file`, whose module is `module` and keeps its children in `folder`.
    pub(crate) fn new(
        modules: &'a mut Vec<Module>,
        file: &'a mut File,
        module: usize,
        folder: PathBuf,
        tests: bool,
    ) -> Self {
        let path = file.module.clone();
        Self { modules, file, module, path, folder, tests, pending: Vec::new() }
    }

    fn here(&mut self) -> &mut Module {
        &mut self.modules[self.module]
    }

    fn declare(&mut self, name: &syn::Ident) {
        self.file.declared.push((line(name.span()), plain(name)));
    }

    /// Notes an item that paths can reach.
    fn define(&mut self, name: &syn::Ident) {
        self.declare(name);
        self.here().items.insert(plain(name));
    }

    fn define_type(&mut self, name: &syn::Ident) {
        self.define(name);
        self.file.types.push(plain(name));
    }

    fn measure(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let lines = block.span().end().line + 1 - line(signature.span());
        self.file.functions.push(Function { name: plain(&signature.ident), lines });
    }

    fn mention(&mut self, at: usize, path: Vec<String>) {
        if path.len() > 1 {
            self.file.paths.push((at, path.clone()));
        }
        self.here().mentions.insert(path);
    }

    /// Leaves out what only tests compile; answers whether it did.
    fn cut(&mut self, attributes: &[Attribute], whole: Span) -> bool {
        let test = attributes.iter().any(|attribute| only_tests(attribute, self.tests));
        if test {
            let lines = whole.end().line + 1 - whole.start().line;
            self.file.lines = self.file.lines.saturating_sub(lines);
        }
        test
    }

    fn import(&mut self, tree: &UseTree, head: &[String], exported: bool) {
        match tree {
            UseTree::Path(path) => {
                let mut head = head.to_vec();
                head.push(plain(&path.ident));
                self.import(&path.tree, &head, exported);
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.import(item, head, exported));
            }
            UseTree::Glob(glob) => self.bring_in(line(glob.span()), head.to_vec(), None, exported),
            UseTree::Name(name) => self.leaf(head, &name.ident, None, exported),
            UseTree::Rename(rename) => {
                self.leaf(head, &rename.ident, Some(plain(&rename.rename)), exported);
            }
        }
    }

    fn leaf(&mut self, head: &[String], name: &syn::Ident, alias: Option<String>, exported: bool) {
        let mut path = head.to_vec();
        if name != "self" {
            path.push(plain(name));
        }
        let alias = alias.or_else(|| path.last().cloned());
        self.bring_in(line(name.span()), path, alias, exported);
    }

    fn bring_in(&mut self, at: usize, path: Vec<String>, alias: Option<String>, exported: bool) {
        self.file.paths.push((at, path.clone()));
        // `use x::T as _` binds no name, but is an edge all the same.
        self.here().imports.push(Import { path, alias, exported });
    }

    fn scan(&mut self, stream: &proc_macro2::TokenStream) {
        for mention in tokens::scan(stream) {
            match mention {
                Mention::Path(at, path) => {
                    self.file.identifiers.extend(path.iter().map(|part| (at, part.clone())));
                    self.mention(at, path);
                }
                Mention::Text(at, text) => self.file.strings.push((at, text)),
            }
        }
    }

    /// Notes the paths in an attribute's arguments; serde's stand in strings.
    fn arguments(&mut self, attribute: &Attribute, stream: &proc_macro2::TokenStream) {
        let serde = attribute.path().is_ident("serde");
        for mention in tokens::scan(stream) {
            match mention {
                Mention::Path(at, path) if path.len() > 1 => self.mention(at, path),
                Mention::Text(at, text) if serde && text.contains("::") => {
                    self.mention(at, text.split("::").map(str::to_owned).collect());
                }
                Mention::Path(..) | Mention::Text(..) => {}
            }
        }
    }

    fn module_block(&mut self, name: &str, items: &[Item]) {
        let known = self.here().children.get(name).copied();
        let (krate, file, parent) = (self.here().krate, self.here().file, self.module);
        let child = known.unwrap_or(self.modules.len());
        if known.is_none() {
            self.modules.push(Module { krate, file, parent: Some(parent), ..Module::default() });
            self.here().children.insert(name.to_owned(), child);
        }
        self.path.push(name.to_owned());
        self.folder.push(name);
        self.module = child;
        items.iter().for_each(|item| self.visit_item(item));
        self.module = parent;
        self.folder.pop();
        self.path.pop();
    }

    fn module_file(&mut self, item: &syn::ItemMod) {
        let name = plain(&item.ident);
        let named = item.attrs.iter().find(|attribute| attribute.path().is_ident("path"));
        let named = named.and_then(|attribute| text_of(&attribute.meta));
        let beside = self.file.path.parent().map(PathBuf::from).unwrap_or_default();
        let path = match named {
            Some(path) => Some(beside.join(path)),
            None => locate(&self.folder, &name),
        };
        if let Some(path) = path {
            let mut module = self.path.clone();
            module.push(name);
            let folder = match path.file_name() {
                Some(own) if own == "mod.rs" => {
                    path.parent().map(PathBuf::from).unwrap_or_default()
                }
                _ => path.with_extension(""),
            };
            self.pending.push(Pending { path, module, parent: Some(self.module), folder });
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !self.cut(attributes(item), item.span()) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes: &[Attribute] = match item {
            syn::ImplItem::Fn(item) => &item.attrs,
            syn::ImplItem::Const(item) => &item.attrs,
            syn::ImplItem::Type(item) => &item.attrs,
            syn::ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !self.cut(attributes, item.span()) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.visit_ident(&item.ident);
        match &item.content {
            Some((_, items)) => self.module_block(&plain(&item.ident), items),
            None => self.module_file(item),
        }
        item.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let exported = !matches!(item.vis, syn::Visibility::Inherited);
        let head = if item.leading_colon.is_some() { vec![String::new()] } else { Vec::new() };
        self.import(&item.tree, &head, exported);
        visit::visit_item_use(self, item);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {} // `pub(crate)` names nothing

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.define_type(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.define_type(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_union(&mut self, item: &'ast syn::ItemUnion) {
        self.define_type(&item.ident);
        visit::visit_item_union(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.define_type(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.define(&item.ident);
        visit::visit_item_type(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.define(&item.ident);
        visit::visit_item_const(self, item);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.define(&item.ident);
        visit::visit_item_static(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.define(&item.sig.ident);
        self.measure(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.declare(&item.sig.ident);
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.declare(&item.ident);
        visit::visit_impl_item_const(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.declare(&item.sig.ident);
        if let Some(block) = &item.default {
            self.measure(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if let Some(name) = &item.ident {
            self.define(name);
            if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")) {
                let mut root = self.module;
                while let Some(parent) = self.modules[root].parent {
                    root = parent;
                }
                // Stands at the root for paths, but is defined here.
                let mut path = vec!["crate".to_owned()];
                path.extend(self.path.iter().cloned());
                path.push(plain(name));
                let alias = Some(plain(name));
                self.modules[root].imports.push(Import { path, alias, exported: true });
            }
        }
        visit::visit_item_macro(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut parts: Vec<_> = path.segments.iter().map(|part| plain(&part.ident)).collect();
        if path.leading_colon.is_some() {
            parts.insert(0, String::new());
        }
        self.mention(line(path.span()), parts);
        visit::visit_path(self, path);
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        // A name of one lower-case word is mostly a variable; calls are noted below.
        let variable = path.qself.is_none()
            && path
                .path
                .get_ident()
                .is_some_and(|name| name.to_string().starts_with(char::is_lowercase));
        if variable {
            visit::visit_path(self, &path.path);
        } else {
            visit::visit_expr_path(self, path);
        }
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let Expr::Path(function) = &*call.func
            && let Some(name) = function.path.get_ident()
        {
            self.mention(line(name.span()), vec![plain(name)]);
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = call.path.segments.last().map(|part| part.ident.to_string()).unwrap_or_default();
        if LEVELS.contains(&name.as_str()) {
            let message = tokens::message(&call.tokens);
            let line = line(call.path.span());
            self.file.logs.push(LogLine { line, level: name, message });
        }
        self.visit_path(&call.path);
        let arguments = call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        match arguments {
            Ok(arguments) => arguments.iter().for_each(|argument| self.visit_expr(argument)),
            Err(_) => self.scan(&call.tokens),
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("doc") {
            if let Some(text) = text_of(&attribute.meta) {
                let inner = matches!(attribute.style, syn::AttrStyle::Inner(_));
                let first = line(attribute.span());
                for (at, text) in text.lines().enumerate() {
                    let text = text.trim().to_owned();
                    self.file.docs.push(DocLine { line: first + at, inner, text });
                }
            }
        } else if let Meta::List(list) = &attribute.meta {
            self.arguments(attribute, &list.tokens);
        }
    }

    fn visit_ident(&mut self, name: &'ast syn::Ident) {
        self.file.identifiers.push((line(name.span()), plain(name)));
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.file.strings.push((line(text.span()), text.value()));
    }
}

fn line(span: Span) -> usize {
    span.start().line
}

/// Spells a name without `r#`.
fn plain(name: &syn::Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

/// Reads the text of `name = "text"`.
fn text_of(meta: &Meta) -> Option<String> {
    let Meta::NameValue(pair) = meta else { return None };
    let Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &pair.value else { return None };
    Some(text.value())
}

/// Says whether an attribute keeps its item for tests: a `cfg` that asks for `test`, or the mark of a test function.
fn only_tests(attribute: &Attribute, tests: bool) -> bool {
    let path = attribute.path();
    if path.is_ident("cfg") {
        return matches!(&attribute.meta, Meta::List(list) if tokens::asks_for_test(&list.tokens));
    }
    !tests && path.segments.last().is_some_and(|part| part.ident == "test")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
