//! Renders what is watched: a progress bar below its log lines, a live list for a feed, plain lines
//! when the output is no terminal.

use std::{collections::VecDeque, io, time::Duration};

use console::{Style, style};
use domain::{channel::Channel, event::entity::Entity};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

use super::reducer::Reducer;
use crate::commands::{output, terminal::harmless};

/// The most rows of a live list; who was silent longest goes first.
const ROWS_MAX: usize = 20;

/// How often spinner and times move.
const TICK: Duration = Duration::from_millis(120);

/// Renders lines, bars and rows.
pub(super) struct Renderer {
    screen: MultiProgress,
    shape: Layout,
    /// The headline shown last, so that none is shown twice.
    last: String,
}

enum Layout {
    /// Plain lines, one after the other.
    Lines {
        /// Whether the channel is a single entity: its lines need no name in front.
        single: bool,
    },
    /// One entity: its bar.
    Bar(ProgressBar),
    /// A feed: a row for each entity, the last changed at the bottom.
    Rows(VecDeque<(String, ProgressBar)>),
}

impl Renderer {
    /// Chooses how a channel is rendered.
    pub(super) fn of(channel: &Channel) -> Self {
        let screen = MultiProgress::new();
        let single = Entity::of(channel).is_some();
        let shape = if !output::is_watched() {
            Layout::Lines { single }
        } else if single {
            Layout::Bar(bar(&screen, channel))
        } else if channel.id().is_none() {
            Layout::Rows(VecDeque::new())
        } else {
            Layout::Lines { single }
        };
        Self { screen, shape, last: String::new() }
    }

    /// Shows a frame or a state, after the reducer has applied it.
    pub(super) fn paint(
        &mut self,
        reducer: &Reducer,
        frame: &Value,
        lines: &[String],
    ) -> io::Result<()> {
        if let Layout::Rows(rows) = &mut self.shape {
            row(&self.screen, rows, frame);
            return Ok(());
        }
        if matches!(self.shape, Layout::Lines { single: false }) {
            return output::data(&summary(frame));
        }
        for line in lines {
            self.screen.suspend(|| output::data(&coloured(line)))?;
        }
        let headline = headline(reducer);
        match &self.shape {
            Layout::Bar(bar) => {
                bar.set_message(join(&[reducer.text("status"), reducer.stage()]));
                if let Some(progress) = reducer.progress() {
                    bar.set_position(percent(progress));
                }
            }
            _ if headline != self.last => {
                output::data(&headline)?;
                self.last = headline;
            }
            _ => {}
        }
        Ok(())
    }

    /// Shows a notice beside the data.
    pub(super) fn notice(&self, text: &str) {
        self.screen.suspend(|| output::chatter(&style(text).for_stderr().yellow().to_string()));
    }

    /// Shows how it ended.
    pub(super) fn end(&self, reducer: &Reducer, good: bool) {
        if let Layout::Bar(bar) = &self.shape {
            bar.finish_and_clear();
            let colour = if good { Style::new().green() } else { Style::new().red() };
            let word = colour.for_stderr().bold().apply_to(reducer.text("status"));
            let url = reducer.text("deploymentUrl");
            let took = bar.elapsed().as_secs_f64();
            output::chatter(format!("{word} after {took:.1} s {url}").trim_end());
        }
    }
}

fn bar(screen: &MultiProgress, channel: &Channel) -> ProgressBar {
    // It belongs to the screen before it is drawn, else its first picture stays above the log.
    let bar = screen.add(ProgressBar::new(100));
    let template = "{spinner:.cyan} {prefix:.bold} {wide_bar:.cyan/dim} {percent:>3}% {msg} \
                    {elapsed:.dim}, {eta:.dim} to go";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_prefix(channel.to_string());
    bar.enable_steady_tick(TICK);
    bar
}

/// Status, progress and stage in one line: `building 50% Building project`.
fn headline(reducer: &Reducer) -> String {
    let progress = reducer.progress().map(|progress| format!("{}%", percent(progress)));
    join(&[reducer.text("status"), progress.as_deref().unwrap_or_default(), reducer.stage()])
}

fn join(parts: &[&str]) -> String {
    let said: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    harmless(&said.join(" "))
}

fn percent(progress: f64) -> u64 {
    progress.clamp(0.0, 100.0) as u64
}

/// Puts the description of an event into the row of its entity.
fn row(screen: &MultiProgress, rows: &mut VecDeque<(String, ProgressBar)>, frame: &Value) {
    let name = frame["id"].as_str().or(frame["user"].as_str()).unwrap_or("–").to_owned();
    let known = rows.iter().position(|(known, _)| *known == name);
    if let Some(row) = known.and_then(|at| rows.remove(at)) {
        row.1.set_message(description(frame));
        rows.push_back(row);
        return;
    }
    if rows.len() >= ROWS_MAX
        && let Some((_, oldest)) = rows.pop_front()
    {
        oldest.finish_and_clear();
        screen.remove(&oldest);
    }
    let bar = screen.add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{prefix:28!.bold} {wide_msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(harmless(&name));
    bar.set_message(description(frame));
    rows.push_back((name, bar));
}

/// An event of a feed in one line: when, what about, and its description.
fn summary(frame: &Value) -> String {
    let at = frame["at"].as_i64().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let at = at.map(|at| format!("{at:.3}")).unwrap_or_default();
    let id = frame["id"].as_str().or(frame["user"].as_str()).unwrap_or("–");
    format!("{at} {id} {}", description(frame))
}

/// Describes an event, in fields that most events have.
fn description(frame: &Value) -> String {
    const WORDS: [&str; 8] =
        ["severity", "level", "status", "state", "stage", "title", "message", "content"];
    let data = if frame["data"].is_object() { &frame["data"] } else { frame };
    let progress = data["progress"].as_f64().map(|progress| format!("{}%", percent(progress)));
    let words = WORDS.into_iter().filter_map(|key| data[key].as_str()?.lines().next());
    let mut description = vec![frame["event"].as_str().unwrap_or("presence")];
    description.extend(progress.as_deref());
    description.extend(words);
    harmless(&description.join(" "))
}

/// A log line, its time dimmed and its severity coloured; plain when colours are not wanted.
fn coloured(line: &str) -> String {
    const TIME_CHARS: usize = "1970-01-01T00:00:00.000Z".len();
    let (time, text) = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((time, text)) if time.len() == TIME_CHARS => (Some(time), text),
        _ => (None, line),
    };
    let lower = text.to_lowercase();
    let text = if ["error", "failed", "fatal", "panic"].iter().any(|word| lower.contains(word)) {
        style(text).red()
    } else if lower.contains("warn") {
        style(text).yellow()
    } else {
        style(text)
    };
    time.map_or_else(|| text.to_string(), |time| format!("{} {text}", style(time).dim()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_described_in_one_line() {
        let frame = json!({"event": "alert", "id": "a", "at": 0,
            "data": {"severity": "critical", "title": "Disk full\nvery", "progress": 3.7}});
        assert_eq!(summary(&frame), "1970-01-01T00:00:00.000Z a alert 3% critical Disk full");
    }

    #[test]
    fn the_headline_leaves_out_what_is_not_known() {
        let mut reducer = Reducer::of(&Channel::parse("deployment:d").unwrap());
        assert_eq!(headline(&reducer), "");
        reducer.begin(&json!({"status": "building", "progress": 50, "stage": "Building"}));
        assert_eq!(headline(&reducer), "building 50% Building");
    }
}
