//! Seed 000's mock run: a deployment that plays itself, for trying things out.

use std::{sync::Arc, time::Duration};

use domain::source::Stream;
use rand::RngExt as _;
use runtime::lifecycle::Lifecycle;
use serde_json::{Value, json};

use super::update::entry;
use crate::ingest::publisher::EventPublisher;

/// Stages with their progress (`protocols.md` §1).
const STAGES: [(&str, u8); 11] = [
    ("Initializing", 0),
    ("Cloning repository", 10),
    ("Installing dependencies", 20),
    ("Building project", 40),
    ("Running tests", 50),
    ("Optimizing bundle", 60),
    ("Creating container", 70),
    ("Deploying to edge", 80),
    ("Configuring DNS", 90),
    ("Finalizing", 95),
    ("Complete", 100),
];

/// The stages that may fail, each once in ten runs.
const MAY_FAIL: std::ops::RangeInclusive<usize> = 5..=9;

/// Plays a deployment from the first stage to success, or to an error in between.
pub(super) fn start(
    life: &Lifecycle,
    publisher: Arc<EventPublisher>,
    pauses: (Duration, Duration),
    deployment: &str,
    project: &str,
) {
    let (deployment, project) = (deployment.to_owned(), project.to_owned());
    life.spawn_until_stop(async move {
        for (number, (stage, progress)) in (1..).zip(STAGES) {
            if number > 1 {
                tokio::time::sleep(pause(pauses)).await;
            }
            let fails = MAY_FAIL.contains(&number) && rand::rng().random_bool(0.1);
            let status = step(&deployment, &project, number, stage, progress, fails);
            let fields = entry(&deployment, &status.to_string());
            publisher.publish_until_recorded(vec![(Stream::Deployments, fields)]).await;
            if fails {
                return;
            }
        }
    });
}

fn pause((from, to): (Duration, Duration)) -> Duration {
    let range =
        u64::try_from(from.as_millis()).unwrap_or(0)..=u64::try_from(to.as_millis()).unwrap_or(0);
    Duration::from_millis(rand::rng().random_range(range))
}

fn step(
    deployment: &str,
    project: &str,
    number: usize,
    stage: &str,
    progress: u8,
    fails: bool,
) -> Value {
    if fails {
        return json!({
            "status": "error",
            "message": format!("Failed during {stage}: Simulated error for testing"),
        });
    }
    let status = match number {
        1..=3 => "building",
        4..=10 => "deploying",
        _ => "success",
    };
    let mut update = json!({
        "id": deployment,
        "projectId": project,
        "status": status,
        "progress": progress,
        "stage": stage,
        "message": stage,
    });
    if number == STAGES.len() {
        update["deploymentUrl"] = url(deployment, project).into();
    }
    update
}

/// `https://PROJECT-FIRST8.openagents.dev`: lower case, white space as dashes.
fn url(deployment: &str, project: &str) -> String {
    let project = project.to_lowercase().split_whitespace().collect::<Vec<_>>().join("-");
    let short: String = deployment.chars().take(8).collect();
    format!("https://{project}-{short}.openagents.dev")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_made_of_project_and_deployment() {
        assert_eq!(url("deploy-1234", "My  App"), "https://my-app-deploy-1.openagents.dev");
    }

    #[test]
    fn progress_never_falls_and_the_last_stage_is_success() {
        assert!(STAGES.windows(2).all(|pair| pair[0].1 < pair[1].1));
        let last = step("d", "p", 11, "Complete", 100, false);
        assert_eq!(
            (&last["status"], last.get("deploymentUrl").is_some()),
            (&"success".into(), true)
        );
    }
}
