//! The measure as a whole: figures, and the lists behind them.

use std::fmt;

use crate::graph::{circles, edges};
use crate::plan::Plan;
use crate::rooms::Rooms;
use crate::workspace::House;
use crate::{dialects, floors, logs, prose, types, words};

/// Median, 95th percentile and maximum of some lengths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// Median.
    pub median: usize,
    /// 95th percentile.
    pub p95: usize,
    /// Maximum.
    pub max: usize,
}

impl Spread {
    fn of(mut lengths: Vec<usize>) -> Self {
        lengths.sort_unstable();
        let at = |percent: usize| lengths.get(lengths.len() * percent / 100).copied();
        Self {
            median: at(50).unwrap_or(0),
            p95: at(95).unwrap_or(0),
            max: lengths.last().copied().unwrap_or(0),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}", self.median, self.p95, self.max)
    }
}

/// The measure of a house against a plan. Every list is readable as it stands, one entry a line.
#[derive(Debug)]
pub struct Measure {
    /// Number of files of the product.
    pub files: usize,
    /// Number of their lines, tests left out.
    pub lines: usize,
    /// Lines a file.
    pub file_lines: Spread,
    /// Lines a function.
    pub function_lines: Spread,
    /// The longest functions, and how many lines they have.
    pub longest: Vec<String>,
    /// Which file names which.
    pub edges: Vec<String>,
    /// Circles of files anywhere in the workspace, largest first.
    pub circles: Vec<String>,
    /// Circles of rooms of the crate that has floors.
    pub room_circles: Vec<String>,
    /// Number of rooms.
    pub rooms: usize,
    /// Number of arrows between rooms.
    pub arrows: usize,
    /// Arrows to a higher floor.
    pub up: Vec<String>,
    /// Rooms that stand on no floor.
    pub without_floor: Vec<String>,
    /// Dependencies of crates that do not run down, and those of crates that may not have them.
    pub crates: Vec<String>,
    /// Places that spawn and should not.
    pub spawns: Vec<String>,
    /// Dialects named under their floor.
    pub dialects: Vec<String>,
    /// Type names with several bearers.
    pub names: Vec<String>,
    /// Private words that are left.
    pub words: Vec<String>,
    /// Documentation of one or two words.
    pub docs: Vec<String>,
    /// Odd English in documentation.
    pub english: Vec<String>,
    /// Log lines that name no component.
    pub logs: Vec<String>,
}

impl Measure {
    /// Measures `house` against `plan`.
    pub fn take(house: &House, plan: &Plan) -> Self {
        let graph = edges(house);
        let rooms = Rooms::draw(house, &graph, plan);
        let sizes: Vec<_> = house.product().map(|file| file.lines).collect();
        let mut functions: Vec<_> = house
            .product()
            .flat_map(|file| {
                file.functions.iter().map(move |f| (f.lines, f.name.as_str(), file.name.as_str()))
            })
            .collect();
        functions.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            files: sizes.len(),
            lines: sizes.iter().sum(),
            file_lines: Spread::of(sizes),
            function_lines: Spread::of(functions.iter().map(|(lines, ..)| *lines).collect()),
            longest: functions
                .iter()
                .take(15)
                .map(|(lines, name, file)| format!("{lines} {name} {file}"))
                .collect(),
            circles: circles(&graph).into_iter().map(|circle| joined(&circle)).collect(),
            room_circles: circles(&rooms.graph())
                .into_iter()
                .map(|circle| joined(&circle))
                .collect(),
            edges: graph
                .iter()
                .flat_map(|(from, to)| to.iter().map(move |to| format!("{from} -> {to}")))
                .collect(),
            rooms: rooms.rooms.len(),
            arrows: rooms.arrows.len(),
            up: floors::looking_up(&rooms, plan),
            without_floor: floors::without_floor(&rooms, plan),
            crates: floors::crates_looking_up(house, &plan.crates),
            spawns: floors::spawns_out_of_place(house, &plan.crates),
            dialects: dialects::dialects_named(house, plan),
            names: types::shared_names(house),
            words: words::private_words(house, plan),
            docs: prose::short_docs(house),
            english: prose::odd_english(house, plan),
            logs: logs::odd_log_lines(house),
        }
    }
}

/// Writes a circle as `size: members`.
fn joined(circle: &std::collections::BTreeSet<String>) -> String {
    format!("{}: {}", circle.len(), circle.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
}

impl fmt::Display for Measure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, lines, file_lines, function_lines, rooms, arrows, .. } = self;
        writeln!(
            out,
            "files {files}, lines {lines}; lines a file {file_lines}, a function {function_lines} (median/p95/max)"
        )?;
        let largest =
            self.circles.first().and_then(|circle| circle.split(':').next()).unwrap_or("0");
        writeln!(out, "circles of files {}, the largest of {largest}", self.circles.len())?;
        writeln!(
            out,
            "rooms {rooms}, arrows {arrows}, up {}, circles of rooms {}, without floor: {}",
            self.up.len(),
            self.room_circles.len(),
            if self.without_floor.is_empty() {
                "none".to_owned()
            } else {
                self.without_floor.join(" ")
            }
        )?;
        writeln!(
            out,
            "crates that look up {}, spawns out of place {}, dialects named under their floor {}",
            self.crates.len(),
            self.spawns.len(),
            self.dialects.len()
        )?;
        write!(
            out,
            "type names with several bearers {}, private words {}, docs of one or two words {}, odd English {}, odd log lines {}",
            self.names.len(),
            self.words.len(),
            self.docs.len(),
            self.english.len(),
            self.logs.len()
        )
    }
}
