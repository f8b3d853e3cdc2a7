//! As much of Redis's protocol as a publisher needs: commands in pipelines, and their answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::Context as _;

/// One connection to a Redis.
pub(crate) struct Redis {
    stream: BufReader<TcpStream>,
    commands: Vec<u8>,
    unanswered: usize,
}

impl Redis {
    /// Connects to `HOST:PORT`.
    pub(crate) fn connect(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("Redis at {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), commands: Vec::new(), unanswered: 0 })
    }

    /// Adds a command to the pipeline.
    pub(crate) fn add(&mut self, arguments: &[&[u8]]) {
        self.commands.extend_from_slice(format!("*{}\r\n", arguments.len()).as_bytes());
        for argument in arguments {
            self.commands.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            self.commands.extend_from_slice(argument);
            self.commands.extend_from_slice(b"\r\n");
        }
        self.unanswered += 1;
    }

    /// Adds an event as any backend publishes one (contract §3).
    pub(crate) fn add_event(&mut self, stream: &str, id: &str, data: &str) {
        let fields = ["XADD", stream, "*", "type", "deployment_update", "id", id, "data", data];
        self.add(&fields.map(str::as_bytes));
    }

    /// Sends the pipeline and waits for all answers.
    pub(crate) fn run(&mut self) -> anyhow::Result<()> {
        self.send()?;
        while self.unanswered > 0 {
            self.answer()?;
            self.unanswered -= 1;
        }
        Ok(())
    }

    /// Sends the pipeline.
    pub(crate) fn send(&mut self) -> anyhow::Result<()> {
        self.stream.get_mut().write_all(&self.commands)?;
        self.commands.clear();
        Ok(())
    }

    /// Waits for one answer or pushed message: its texts, of an array in order.
    pub(crate) fn answer(&mut self) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut texts = Vec::new();
        let mut left = 1_usize;
        while left > 0 {
            left -= 1;
            let line = self.line()?;
            let (kind, rest) = line.split_at(1);
            match kind {
                "-" => anyhow::bail!("Redis: {rest}"),
                "*" => left += rest.parse::<usize>()?,
                "$" if rest != "-1" => {
                    let mut text = vec![0; rest.parse::<usize>()? + 2];
                    self.stream.read_exact(&mut text)?;
                    text.truncate(text.len() - 2);
                    texts.push(text);
                }
                _ => texts.push(rest.as_bytes().to_vec()),
            }
        }
        Ok(texts)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        anyhow::ensure!(line.len() > 2, "Redis has closed the connection");
        line.truncate(line.len() - 2);
        Ok(line)
    }
}
