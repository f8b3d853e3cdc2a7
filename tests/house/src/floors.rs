//! Arrows that run up: between the floors of a crate, and between the tiers of crates.

use crate::plan::{Crates, Plan};
use crate::rooms::Rooms;
use crate::workspace::House;

/// Lists the arrows from a room to one on a higher floor: `from -> to (files): the first of them`.
pub fn looking_up(rooms: &Rooms, plan: &Plan) -> Vec<String> {
    let up =
        rooms.arrows.iter().filter(|((from, to), _)| match (floor(plan, from), floor(plan, to)) {
            (Some(from), Some(to)) => to < from, // counted from the top
            _ => false,
        });
    up.map(|((from, to), files)| {
        let first = files.first().map_or("", String::as_str);
        format!("{from} -> {to} ({}): {first}", files.len())
    })
    .collect()
}

/// Lists the rooms that stand on no floor, whose arrows nobody can judge.
pub fn without_floor(rooms: &Rooms, plan: &Plan) -> Vec<String> {
    rooms.rooms.iter().filter(|room| floor(plan, room).is_none()).cloned().collect()
}

fn floor(plan: &Plan, room: &str) -> Option<usize> {
    plan.floors.iter().position(|floor| floor.contains(&room))
}

/// Lists dependencies of product crates that do not run down: to the same tier, a higher one, or none.
pub fn crates_looking_up(house: &House, crates: &Crates) -> Vec<String> {
    let tier = |name: &str| crates.tiers.iter().position(|tier| tier.contains(&name));
    let product = || house.manifests.iter().filter(|package| package.product());
    let mut odd = Vec::new();
    for package in product() {
        if tier(&package.name).is_none() {
            odd.push(format!("{}: stands on no tier", package.name));
        }
        for dependency in &package.dependencies {
            let Some(other) = house.manifests.iter().find(|other| other.name == *dependency) else {
                continue;
            };
            match (tier(&package.name), tier(dependency)) {
                (Some(own), Some(below)) if own < below => {}
                (Some(_), None) if other.product() => {} // named as standing on no tier
                _ => odd.push(format!("{} -> {dependency}: not a lower tier", package.name)),
            }
        }
        for (reserved, allowed) in crates.reserved {
            if package.dependencies.contains(*reserved) && !allowed.contains(&package.name.as_str())
            {
                odd.push(format!(
                    "{} -> {reserved}: only for {}",
                    package.name,
                    allowed.join(", ")
                ));
            }
        }
    }
    odd
}

/// Lists the places outside the crates allowed to where tasks or threads are spawned.
pub fn spawns_out_of_place(house: &House, crates: &Crates) -> Vec<String> {
    let mut found = Vec::new();
    for file in house.product() {
        if crates.spawners.contains(&house.tree.crates[file.krate].name.as_str()) {
            continue;
        }
        for (line, path) in &file.paths {
            let [.., owner, name] = path.as_slice() else { continue };
            let owners = ["tokio", "task", "thread"];
            if name.starts_with("spawn") && owners.contains(&owner.as_str()) {
                found.push(format!("{}:{line} {}", file.name, path.join("::")));
            }
        }
    }
    found
}
