//! The README's walk through the program, as it stands there, but for its ports.

use crate::fleet::{PATIENCE, end_of, lines_of};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const README: &str = include_str!("../../../../README.md");

/// What CI runs, by the same words.
const BY_CI: [&str; 3] = ["cargo run --release -- demo", "cargo test --workspace", "cargo build --release"];

/// A terminal whose process is killed with it.
struct Terminal(Child);

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A shell as the README leaves it from one line to the next.
struct Shell {
    environment: BTreeMap<String, String>,
    terminals: Vec<Terminal>,
    /// What the last line printed.
    printed: String,
}

impl Shell {
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", line]).envs(&self.environment).stdin(Stdio::null());
        command
    }

    fn run(&mut self, line: &str) {
        let (line, expected) = match line.split_once("#=> ") {
            Some((line, expected)) => (line, Some(expected)),
            None => (line, None),
        };
        match line.strip_prefix("export ").and_then(|pair| pair.split_once('=')) {
            // The program is where cargo put it for this test.
            Some(("PATH", _)) => {}
            Some((name, value)) => drop(self.environment.insert(name.to_owned(), value.to_owned())),
            None if line.starts_with("rafted serve ") => self.serve(line),
            None => {
                let line = &line.replace("TERM,INDEX", self.entry());
                let output = self.command(line).output().expect("a shell");
                self.printed = String::from_utf8(output.stdout).expect("text");
                let error = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success() && error.is_empty(), "{line}: {} {error}", self.printed);
            }
        }
        if let Some(expected) = expected {
            // In the README, what is printed stands in one line.
            let printed: Vec<&str> = self.printed.split_whitespace().collect();
            assert_eq!(printed.join(" "), expected, "{line}");
        }
    }

    /// What stands last in the first row of the table that was printed last.
    fn entry(&self) -> &str {
        self.printed.lines().nth(1).and_then(|row| row.split_whitespace().last()).unwrap_or_default()
    }

    /// Leaves the line to a terminal of its own, once it is ready. Nobody reads what it says after that.
    fn serve(&mut self, line: &str) {
        let mut child = self.command(&format!("exec {line}")).stdout(Stdio::piped()).spawn().expect("a shell");
        let said = lines_of(&mut child);
        self.terminals.push(Terminal(child));
        let next = || said.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{line} is not ready: {error}"));
        while !next().starts_with("ready") {}
    }
}

/// The blocks of the README that are marked as `kind`.
fn blocks(kind: &str) -> Vec<&'static str> {
    let fence = format!("```{kind}\n");
    README.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// The README with ports that are free. Below those that the system gives to whoever asks for any.
fn with_free_ports(text: &str) -> String {
    let first = 20_000 + (std::process::id() as u16 % 8_000);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = (first..30_000).filter(|port| free(port) && free(&(port + 1000)));
    let mut text = text.to_owned();
    for place in 1..=3 {
        let port = ports.next().expect("a free port");
        text = text.replace(&format!("127.0.0.1:710{place}"), &format!("127.0.0.1:{port}"));
        text = text.replace(&format!("127.0.0.1:810{place}"), &format!("127.0.0.1:{}", port + 1000));
    }
    text
}

#[test]
fn the_walk_through_the_program_is_as_the_readme_says() {
    let program = Path::new(env!("CARGO_BIN_EXE_rafted")).parent().expect("its directory");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("a path"));
    let timeout = format!("{}s", PATIENCE.as_secs());
    let environment = BTreeMap::from([("PATH".to_owned(), path), ("RAFTED_TIMEOUT".to_owned(), timeout)]);
    let mut shell = Shell { environment, terminals: Vec::new(), printed: String::new() };
    let lines = with_free_ports(&blocks("sh").concat());
    let mut tables = 0;
    for line in lines.lines().filter(|line| !BY_CI.contains(line)) {
        shell.run(line);
        if line == "rafted status" {
            let shown = blocks("text").concat();
            assert_eq!(shell.printed.lines().count(), shown.lines().count(), "{}", shell.printed);
            let words =
                |text: &str| text.lines().next().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
            assert_eq!(words(&shell.printed), words(&shown));
            tables += 1;
        }
    }
    assert_eq!((shell.terminals.len(), tables), (4, 1), "the walk is whole");
    // The one that was sent away has ended well, those that were killed have not, the one that went on is there.
    let removed = end_of(&mut shell.terminals[2].0);
    assert!(removed.success());
    for at in [0, 3] {
        let killed = end_of(&mut shell.terminals[at].0);
        assert!(!killed.success());
    }
    assert!(shell.terminals[1].0.try_wait().expect("its state").is_none());
}
