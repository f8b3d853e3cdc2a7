//! Figures: a table for people, JSON for programs.

use serde::Serialize;

/// One figure, the median of its runs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// The median.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// What we want it to be at most (at least, for rates).
    pub(crate) goal: Option<f64>,
    /// What it has to be.
    pub(crate) must: Option<f64>,
    /// Every run, in order.
    pub(crate) runs: Vec<f64>,
}

/// All figures, in the order in which they were first reported.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// Adds a run of a figure that has no goal.
    pub(crate) fn add(&mut self, name: &str, unit: &'static str, value: f64) {
        self.judge(name, unit, value, None);
    }

    /// Adds a run of a figure with its goal and the worst that is bearable.
    pub(crate) fn judge(
        &mut self,
        name: &str,
        unit: &'static str,
        value: f64,
        limits: Option<(f64, f64)>,
    ) {
        let known = self.figures.iter_mut().find(|figure| figure.name == name);
        if let Some(figure) = known {
            figure.runs.push(value);
            figure.value = median(&figure.runs);
            return;
        }
        self.figures.push(Figure {
            name: name.to_owned(),
            value,
            unit,
            goal: limits.map(|(goal, _)| goal),
            must: limits.map(|(_, must)| must),
            runs: vec![value],
        });
    }

    /// Prints everything.
    #[expect(clippy::print_stdout, reason = "the purpose of this program")]
    pub(crate) fn show(&self, json: bool) -> anyhow::Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(&self.figures)?);
            return Ok(());
        }
        println!("| figure | measured | goal | must | runs |");
        println!("| --- | --- | --- | --- | --- |");
        for figure in &self.figures {
            let limit = |limit: Option<f64>| limit.map_or_else(String::new, short);
            let runs: Vec<String> = figure.runs.iter().copied().map(short).collect();
            println!(
                "| {} | {} {} | {} | {} | {} |",
                figure.name,
                short(figure.value),
                figure.unit,
                limit(figure.goal),
                limit(figure.must),
                runs.join(", ")
            );
        }
        Ok(())
    }
}

fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    f64::midpoint(low, high)
}

/// Three digits that mean something.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}
