//! Resolves a path to the file that defines what it stands for, through imports, globs and re-exports.

use std::collections::HashSet;

use crate::tree::Import;
use crate::workspace::House;

/// What a path stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Module(usize),
    /// An item, by the module that defines it.
    Item(usize),
}

/// One resolution: the names that it already follows, so that a circle of re-exports ends.
struct Search<'a> {
    house: &'a House,
    followed: HashSet<(usize, String)>,
}

impl House {
    /// Finds the file that defines what `path`, named in `module`, stands for; none outside the workspace.
    pub(crate) fn resolve(&self, module: usize, path: &[String]) -> Option<usize> {
        let mut search = Search { house: self, followed: HashSet::new() };
        let (Target::Module(at) | Target::Item(at)) = search.resolve(module, path)?;
        Some(self.tree.modules[at].file)
    }
}

impl Search<'_> {
    fn resolve(&mut self, module: usize, path: &[String]) -> Option<Target> {
        let (head, rest) = path.split_first()?;
        let house = self.house;
        let here = &house.tree.modules[module];
        let start = match head.as_str() {
            "crate" => Some(Target::Module(house.tree.crates[here.krate].root)),
            "self" => Some(Target::Module(module)),
            "super" => here.parent.map(Target::Module),
            "Self" => None,
            "" => {
                return self.foreign(rest.first()?).and_then(|root| self.descend(root, &rest[1..]));
            }
            name => self.lookup(module, name, rest.is_empty()).or_else(|| self.foreign(name)),
        };
        self.descend(start?, rest)
    }

    fn foreign(&self, name: &str) -> Option<Target> {
        let found = self.house.tree.crates.iter().find(|krate| krate.name == name);
        found.map(|krate| Target::Module(krate.root))
    }

    fn descend(&mut self, mut target: Target, rest: &[String]) -> Option<Target> {
        for (at, name) in rest.iter().enumerate() {
            let Target::Module(module) = target else { break }; // a variant, a constant, a function of a type
            target = match name.as_str() {
                "super" => Target::Module(self.house.tree.modules[module].parent?),
                "self" => target,
                // A name that only a macro brings up: the module is the nearest that is known.
                _ => match self.lookup(module, name, at + 1 == rest.len()) {
                    Some(found) => found,
                    None => break,
                },
            };
        }
        Some(target)
    }

    fn lookup(&mut self, module: usize, name: &str, last: bool) -> Option<Target> {
        let here = &self.house.tree.modules[module];
        let item = here.items.contains(name).then_some(Target::Item(module));
        let child = here.children.get(name).copied().map(Target::Module);
        let own = if last { item.or(child) } else { child.or(item) };
        own.or_else(|| self.imported(module, name))
    }

    fn imported(&mut self, module: usize, name: &str) -> Option<Target> {
        let house = self.house;
        if !self.followed.insert((module, name.to_owned())) {
            return None;
        }
        let imports = &house.tree.modules[module].imports;
        let named = |import: &&Import| import.alias.as_deref() == Some(name);
        let mut found =
            imports.iter().filter(named).find_map(|import| self.resolve(module, &import.path));
        if found.is_none() {
            found = imports.iter().filter(|import| import.alias.is_none()).find_map(|import| {
                let Target::Module(glob) = self.resolve(module, &import.path)? else { return None };
                if glob == module { None } else { self.lookup(glob, name, true) }
            });
        }
        self.followed.remove(&(module, name.to_owned()));
        found
    }
}
