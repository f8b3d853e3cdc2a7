//! The graph of files: which names which, and where it runs in circles.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

use crate::workspace::House;

/// Which node names which others.
pub(crate) type Graph<N> = BTreeMap<N, BTreeSet<N>>;

/// Lists the files that each file names, by number.
pub(crate) fn numbers(house: &House) -> Graph<usize> {
    let mut graph = Graph::new();
    for (number, module) in house.tree.modules.iter().enumerate() {
        let imports =
            module.imports.iter().filter(|import| !import.exported).map(|import| &import.path);
        for path in imports.chain(&module.mentions) {
            if let Some(to) = house.resolve(number, path).filter(|to| *to != module.file) {
                graph.entry(module.file).or_default().insert(to);
            }
        }
    }
    graph
}

/// Lists the files that each file names, as paths from the root of the repository.
pub fn edges(house: &House) -> Graph<String> {
    let name = |file: usize| house.tree.files[file].name.clone();
    let graph = numbers(house).into_iter();
    graph.map(|(from, to)| (name(from), to.into_iter().map(name).collect())).collect()
}

/// Finds the circles (strongly connected parts of more than one node), largest first.
pub fn circles<N: Ord + Hash + Clone>(graph: &Graph<N>) -> Vec<BTreeSet<N>> {
    let mut search = Tarjan { graph, index: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
    for node in graph.keys() {
        if !search.index.contains_key(node) {
            search.visit(node);
        }
    }
    search.found.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    search.found
}

/// Tarjan's search. It recurses as deep as the longest chain of files, some hundreds at most.
struct Tarjan<'a, N> {
    graph: &'a Graph<N>,
    /// Number of each visited node; the largest where its circle is closed.
    index: BTreeMap<N, usize>,
    stack: Vec<N>,
    found: Vec<BTreeSet<N>>,
}

impl<N: Ord + Clone> Tarjan<'_, N> {
    /// Visits a node; answers the lowest number that it reaches.
    fn visit(&mut self, node: &N) -> usize {
        let own = self.index.len();
        self.index.insert(node.clone(), own);
        self.stack.push(node.clone());
        let mut lowest = own;
        for next in self.graph.get(node).into_iter().flatten() {
            let reached = match self.index.get(next) {
                Some(number) => *number,
                None => self.visit(next),
            };
            lowest = lowest.min(reached);
        }
        if lowest == own {
            self.close(node);
        }
        lowest
    }

    fn close(&mut self, root: &N) {
        let mut circle = BTreeSet::new();
        while let Some(node) = self.stack.pop() {
            self.index.insert(node.clone(), usize::MAX);
            let last = node == *root;
            circle.insert(node);
            if last {
                break;
            }
        }
        if circle.len() > 1 {
            self.found.push(circle);
        }
    }
}
