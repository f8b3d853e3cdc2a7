//! What the nodes know of each other: who is connected where, who has gone, how far each node is.

pub mod agent_health;
pub mod agent_roster;
pub mod cluster_query;
pub mod disconnects;
pub mod installation_figures;
pub mod node_directory;
pub mod presence;
pub mod registry;
