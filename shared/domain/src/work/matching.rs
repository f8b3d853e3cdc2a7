//! Who gets what: pairs waiting tasks with free agents.
//!
//! Pure. Tasks come in the order in which they are served: higher priority first, then the older one.
//! Of the agents that can do a task the one with the fewest capabilities has it, so that those who
//! can more stay free for what only they can do; of equals the one with the most free slots.

/// A task that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingTask {
    /// Its id.
    pub task: Box<str>,
    /// The number that its next attempt has.
    pub attempt: u64,
    /// Higher goes first.
    pub priority: u8,
    /// When it was recorded, ms since 1970.
    pub created: i64,
    /// The only agent that may have it.
    pub agent: Option<Box<str>>,
    /// Capabilities that its agent must have, sorted.
    pub requires: Vec<Box<str>>,
    /// Agents that do not want it.
    pub rejected_by: Vec<Box<str>>,
}

/// An agent that takes work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeAgent {
    /// Its id.
    pub agent: Box<str>,
    /// What it can do.
    pub capabilities: Vec<Box<str>>,
    /// How many more attempts it takes.
    pub free: u32,
}

/// Whether an agent with these capabilities may be given what asks for `only` and `requires`.
pub fn can(
    agent: &str,
    capabilities: &[Box<str>],
    only: Option<&str>,
    requires: &[Box<str>],
) -> bool {
    only.is_none_or(|only| only == agent) && requires.iter().all(|one| capabilities.contains(one))
}

/// A task and the agent that is given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// The task.
    pub task: Box<str>,
    /// The number of the attempt.
    pub attempt: u64,
    /// The agent.
    pub agent: Box<str>,
}

/// Pairs tasks with agents.
pub fn pair(mut waiting: Vec<WaitingTask>, mut agents: Vec<FreeAgent>) -> Vec<Pairing> {
    waiting.sort_by(|a, b| {
        let order = b.priority.cmp(&a.priority).then(a.created.cmp(&b.created));
        order.then_with(|| a.task.cmp(&b.task))
    });
    // From the least able; of equals the choice below goes by free slots.
    agents.sort_by(|a, b| {
        a.capabilities.len().cmp(&b.capabilities.len()).then_with(|| a.agent.cmp(&b.agent))
    });
    let mut free: u64 = agents.iter().map(|agent| u64::from(agent.free)).sum();
    let mut pairings = Vec::new();
    for task in waiting {
        if free == 0 {
            break;
        }
        let able = agents.iter_mut().filter(|agent| {
            agent.free > 0
                && can(&agent.agent, &agent.capabilities, task.agent.as_deref(), &task.requires)
                && !task.rejected_by.contains(&agent.agent)
        });
        let best = able.min_by_key(|agent| (agent.capabilities.len(), u32::MAX - agent.free));
        if let Some(agent) = best {
            agent.free -= 1;
            free -= 1;
            let (task, attempt) = (task.task, task.attempt);
            pairings.push(Pairing { task, attempt, agent: agent.agent.clone() });
        }
    }
    pairings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(task: &str, priority: u8, created: i64, requires: &[&str]) -> WaitingTask {
        let requires = requires.iter().map(|one| Box::from(*one)).collect();
        let (task, rejected_by) = (task.into(), Vec::new());
        WaitingTask { task, attempt: 1, priority, created, agent: None, requires, rejected_by }
    }

    fn agent(agent: &str, free: u32, capabilities: &[&str]) -> FreeAgent {
        let capabilities = capabilities.iter().map(|one| Box::from(*one)).collect();
        FreeAgent { agent: agent.into(), capabilities, free }
    }

    fn pairs(waiting: Vec<WaitingTask>, agents: Vec<FreeAgent>) -> Vec<(String, String)> {
        let pairings = pair(waiting, agents).into_iter();
        pairings.map(|pairing| (pairing.task.into(), pairing.agent.into())).collect()
    }

    #[test]
    fn higher_priority_goes_first_then_the_older() {
        let tasks =
            vec![waiting("low", 1, 1, &[]), waiting("new", 9, 3, &[]), waiting("old", 9, 2, &[])];
        let got = pairs(tasks, vec![agent("a", 2, &[])]);
        assert_eq!(got, [("old".into(), "a".into()), ("new".into(), "a".into())]);
    }

    #[test]
    fn an_agent_has_all_that_is_required_and_the_least_able_is_taken() {
        let agents = || vec![agent("docs", 1, &["docs"]), agent("both", 1, &["docs", "gpu"])];
        let got =
            pairs(vec![waiting("t", 5, 1, &["docs"]), waiting("u", 5, 2, &["gpu"])], agents());
        assert_eq!(got, [("t".into(), "docs".into()), ("u".into(), "both".into())]);
        assert_eq!(pairs(vec![waiting("t", 5, 1, &["gpu", "tpu"])], agents()), []);
    }

    #[test]
    fn a_named_agent_and_no_other_and_never_one_that_rejected() {
        let mut only = waiting("only", 5, 1, &[]);
        only.agent = Some("b".into());
        let mut refused = waiting("refused", 9, 1, &[]);
        refused.rejected_by = vec!["a".into()];
        assert_eq!(pairs(vec![only.clone()], vec![agent("a", 1, &[])]), []);
        let got = pairs(vec![only, refused], vec![agent("a", 1, &[]), agent("b", 2, &[])]);
        assert_eq!(got, [("refused".into(), "b".into()), ("only".into(), "b".into())]);
    }

    #[test]
    fn of_equals_the_one_with_more_free_slots_is_taken() {
        let tasks = (0..3).map(|n| waiting(&format!("t{n}"), 5, n, &[])).collect();
        let got = pairs(tasks, vec![agent("a", 1, &[]), agent("b", 3, &[])]);
        let agents: Vec<&str> = got.iter().map(|(_, agent)| agent.as_str()).collect();
        assert_eq!(agents, ["b", "b", "a"]);
    }
}
