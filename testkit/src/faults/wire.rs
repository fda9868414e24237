//! The wire between the functions and their database: every connection goes through here, and can be cut, refused and
//! slowed down. What the functions see is what they would see of a server that is stopped, full or slow.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How a transaction of ours ends on the wire (`Tx::commit`).
const COMMIT: &[u8] = b"SELECT; COMMIT";
/// Larger than most messages; a longer one comes in several pieces.
const PIECE: usize = 64 << 10;

/// What happens on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Every connection is cut at the COMMIT after so many others, before the server has it, and none is taken again.
    StopBefore(usize),
    /// The connection of the COMMIT after so many others is cut before the server has it.
    CutBefore(usize),
    /// The server has the COMMIT after so many others, and its answer does not come back.
    CutAfter(usize),
    /// The COMMIT after so many others takes longer.
    Slow(usize, Duration),
    /// No connection is free.
    Exhausted,
    /// Nobody listens.
    Refused,
}

struct State {
    trouble: Mutex<(Trouble, usize)>,
    cut: watch::Sender<u64>,
}

/// A wire.
pub struct Wire {
    port: u16,
    state: Arc<State>,
    server: JoinHandle<()>,
}

impl Wire {
    /// A wire to the server at `host` and `port`.
    pub async fn to(host: &str, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = Arc::new(State { trouble: Mutex::new((Trouble::None, 0)), cut: watch::Sender::new(0) });
        let server = tokio::spawn({
            let (state, host) = (state.clone(), host.to_owned());
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(connect(client, host.clone(), port, state.clone()));
                }
            }
        });
        Self { port: own, state, server }
    }

    /// Where the functions connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on this happens.
    pub fn trouble(&self, trouble: Trouble) {
        *self.state.trouble.lock().unwrap() = (trouble, 0);
    }

    /// Ends the trouble; returns how often it has struck.
    pub fn mend(&self) -> usize {
        std::mem::replace(&mut *self.state.trouble.lock().unwrap(), (Trouble::None, 0)).1
    }

    /// Cuts every connection there is.
    pub fn cut(&self) {
        self.state.cut.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.server.abort();
        self.cut();
    }
}

async fn connect(mut client: TcpStream, host: String, port: u16, state: Arc<State>) {
    let mut cut = state.cut.subscribe();
    let refused = {
        let mut trouble = state.trouble.lock().unwrap();
        let refused = matches!(trouble.0, Trouble::Exhausted | Trouble::Refused);
        trouble.1 += usize::from(refused);
        refused.then_some(trouble.0)
    };
    match refused {
        Some(Trouble::Exhausted) => {
            // The answer to the opening message, whatever it says.
            let mut opening = [0; 1024];
            if client.read(&mut opening).await.is_ok() {
                drop(client.write_all(&too_many_connections()).await);
            }
            return;
        }
        Some(_) => return,
        None => {}
    }
    let Ok(mut server) = TcpStream::connect((host, port)).await else { return };
    drop(client.set_nodelay(true));
    drop(server.set_nodelay(true));
    let (mut up, mut down) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Some(read) = read.ok().filter(|read| *read > 0) else { return };
                let piece = &up[..read];
                match at_commit(&state, piece) {
                    Trouble::CutBefore(_) => return,
                    Trouble::StopBefore(_) => {
                        state.cut.send_modify(|cuts| *cuts += 1);
                        return;
                    }
                    Trouble::CutAfter(_) => {
                        // The server has it as soon as it answers.
                        if server.write_all(piece).await.is_ok() {
                            drop(server.read(&mut down).await);
                        }
                        return;
                    }
                    Trouble::Slow(_, longer) => tokio::time::sleep(longer).await,
                    _ => {}
                }
                if server.write_all(piece).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Some(read) = read.ok().filter(|read| *read > 0) else { return };
                if client.write_all(&down[..read]).await.is_err() {
                    return;
                }
            }
            _ = cut.changed() => return,
        }
    }
}

/// What happens to this piece.
fn at_commit(state: &State, piece: &[u8]) -> Trouble {
    if !piece.windows(COMMIT.len()).any(|window| window == COMMIT) {
        return Trouble::None;
    }
    let mut trouble = state.trouble.lock().unwrap();
    let (before, next) = match trouble.0 {
        Trouble::StopBefore(n) => (n, Trouble::StopBefore(n.saturating_sub(1))),
        Trouble::CutBefore(n) => (n, Trouble::CutBefore(n.saturating_sub(1))),
        Trouble::CutAfter(n) => (n, Trouble::CutAfter(n.saturating_sub(1))),
        Trouble::Slow(n, longer) => (n, Trouble::Slow(n.saturating_sub(1), longer)),
        other => return if other == Trouble::None { other } else { Trouble::None },
    };
    if before > 0 {
        trouble.0 = next;
        return Trouble::None;
    }
    let struck = trouble.0;
    *trouble = (if matches!(struck, Trouble::StopBefore(_)) { Trouble::Refused } else { Trouble::None }, trouble.1 + 1);
    struck
}

/// PostgreSQL's ErrorResponse with the SQLSTATE of a server without a free connection.
fn too_many_connections() -> Vec<u8> {
    let mut fields = Vec::new();
    for (field, text) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', "53300"), (b'M', "sorry, too many clients already")]
    {
        fields.push(field);
        fields.extend_from_slice(text.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    let length = u32::try_from(fields.len() + 4).unwrap();
    [&b"E"[..], &length.to_be_bytes(), &fields].concat()
}
