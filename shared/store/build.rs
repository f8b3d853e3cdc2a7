//! Tells cargo to look at the migrations again when one is added: `sqlx::migrate!` embeds them.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
