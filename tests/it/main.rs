//! End to end: real processes of ours, real Redis, real PostgreSQL, real sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod client;
mod cluster;
mod http;
mod pattern;
mod transcript;

mod bodies;
mod catalog;
mod chaos;
mod collisions;
mod command_line;
mod commands;
#[cfg(feature = "failpoints")]
mod crashes;
mod crowds;
mod dashboards;
mod dead_letters;
mod departures;
mod deployments;
mod deviations;
mod dialogues;
mod door_matrix;
mod doors;
mod embedded;
mod embedded_redis;
mod event_streams;
mod failover;
mod foreign_clients;
mod foreign_ids;
mod free_messages;
mod heartbeats;
mod ingest;
mod installation;
mod leases;
mod limits;
mod memories;
mod network;
mod odd_documents;
mod operators;
mod outages;
mod partitions;
mod poolers;
mod price;
mod redis_cluster;
mod resume;
mod rolling;
mod rules;
mod seed_clients;
mod settings;
mod takeover;
mod tls;
mod tokens;
mod traces;
mod traps;
