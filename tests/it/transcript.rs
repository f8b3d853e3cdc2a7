//! Transcripts: dialogues as text files, played over real sockets.
//!
//! | line | meaning |
//! | --- | --- |
//! | `# …` | a remark |
//! | `set NAME=VALUE` | a setting of every node; before anything else |
//! | `== connect NAME /path [Header: value] …` | a WebSocket that must be accepted |
//! | `== refused STATUS /path [Header: value] … => text` | one that must be refused before the 101 |
//! | `> NAME text` | the client sends this text frame, valid or not |
//! | `>b NAME text` | the same as a binary frame |
//! | `< NAME {…}` | the next frame of this client (see [`crate::pattern`]) |
//! | `! NAME close CODE [reason]` | the server closes; 1006 stands for a cut without a close frame |
//! | `! NAME leaves` | the client closes |
//! | `! NAME hears nothing for 300ms` | no frame at all in that time |
//! | `GET /path [Header: value] … => STATUS [Header: value] … body` | also POST, DELETE …, with a body after the headers |
//! | `eventually GET …` | the same, asked again until it is answered so: after a frame that has no answer |
//! | `XADD STREAM field value …` | published; `'…'` around a value with spaces |
//! | `pause 300ms` | only where a timer of the protocol is tested |
//!
//! A line that begins with a space goes on the one before. `$name` in what is sent stands for what a
//! pattern captured. An expected body that begins with `{`, `[` or `"` is a JSON pattern, any other is the text
//! itself, none is not looked at. Whatever is not written here must not come: at the end every
//! connection that is still open must have been silent.
//!
//! Connections go to the nodes in turn, `connect NAME@2 …` to the second; HTTP goes to the first.

mod player;
mod script;

pub(crate) use player::{Deviation, faithful, play, read};
