//! The rooms of the crate that has floors, and the arrows between them.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::Graph;
use crate::plan::Plan;
use crate::tree::File;
use crate::workspace::House;

/// Rooms and arrows of one crate.
#[derive(Debug)]
pub struct Rooms {
    /// Rooms that have files.
    pub rooms: BTreeSet<String>,
    /// Arrows from room to room, with the arrows of files that make them.
    pub arrows: BTreeMap<(String, String), Vec<String>>,
}

impl Rooms {
    /// Draws the rooms of `plan`'s crate; `edges` are those of files.
    pub fn draw(house: &House, edges: &Graph<String>, plan: &Plan) -> Self {
        let files: BTreeMap<_, _> =
            floored(house, plan).map(|file| (file.name.as_str(), room(file))).collect();
        let mut arrows: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (from, targets) in edges {
            for to in targets {
                if let (Some(a), Some(b)) = (files.get(from.as_str()), files.get(to.as_str()))
                    && a != b
                {
                    let between = ((*a).to_owned(), (*b).to_owned());
                    arrows.entry(between).or_default().push(format!("{from} -> {to}"));
                }
            }
        }
        Self { rooms: files.into_values().map(str::to_owned).collect(), arrows }
    }

    /// Turns the arrows into a graph, for circles of rooms.
    pub fn graph(&self) -> Graph<String> {
        let mut graph = Graph::new();
        for (from, to) in self.arrows.keys() {
            graph.entry(from.clone()).or_insert_with(BTreeSet::new).insert(to.clone());
        }
        graph
    }
}

/// Lists the files of the crate that has floors.
pub(crate) fn floored<'a>(house: &'a House, plan: &'a Plan) -> impl Iterator<Item = &'a File> {
    house.product().filter(|file| house.tree.crates[file.krate].name == plan.crate_name)
}

/// Names the room of a file: the first part of its module's path, `lib` for the root.
pub(crate) fn room(file: &File) -> &str {
    file.module.first().map_or("lib", String::as_str)
}
