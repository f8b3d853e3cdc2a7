//! The shell process that outlives the test process and ends what that left behind.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Reads `run PID SIGNAL`, `gone PID` and `dir PATH`; at the end of its input it ends what still
/// runs and removes the directories. The test process holds the other end of the pipe and the
/// kernel closes it however that process ends. (`PR_SET_PDEATHSIG` would not do: it fires when
/// the *thread* that started the child ends, and every test has a thread of its own.)
const SCRIPT: &str = r#"
running=; dirs=
while read -r verb what signal; do
  case $verb in
    run) running="$running $what:$signal" ;;
    gone) kept=
      for one in $running; do [ "${one%:*}" = "$what" ] || kept="$kept $one"; done
      running=$kept ;;
    dir) dirs="$dirs $what" ;;
  esac
done
for one in $running; do kill -CONT "${one%:*}"; kill -"${one#*:}" "${one%:*}"; done
for tick in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  kept=
  for one in $running; do kill -0 "${one%:*}" && kept="$kept $one"; done
  running=$kept
  [ -z "$running" ] && break
  [ "$tick" = 1 ] || sleep 0.4
done
for one in $running; do kill -KILL "${one%:*}"; done
[ -z "$dirs" ] || rm -rf $dirs
"#;

/// Gives the watchdog one line; the first call starts it.
pub(crate) fn tell(line: &str) {
    static PIPE: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let mut pipe =
        PIPE.get_or_init(|| Mutex::new(start())).lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(pipe, "{line}").expect("the watchdog reads until this process ends");
}

/// In a process group of its own, so that Ctrl-C reaches the tests and not their watchdog; without
/// our output, so that who reads it sees its end when the tests end.
#[expect(clippy::zombie_processes, reason = "it outlives this process, and only then has work")]
fn start() -> ChildStdin {
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT, "fanfare-test-watchdog"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("start the watchdog shell");
    child.stdin.take().expect("stdin is piped")
}
