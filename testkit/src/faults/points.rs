//! The driver's end of `shared::fault_points`: processes that come to a point ask here whether they may go on.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A process that is held in a point. Dropping this lets it go on.
pub struct Held {
    _line: BufReader<TcpStream>,
}

struct Armed {
    function: &'static str,
    point: &'static str,
    arrived: oneshot::Sender<Held>,
}

/// Every point of every process that was given the [`address`](Self::address).
pub struct Points {
    address: String,
    armed: Arc<Mutex<Vec<Armed>>>,
    server: JoinHandle<()>,
}

impl Points {
    /// Begins to answer that everybody may go on.
    pub async fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let armed = Arc::new(Mutex::new(Vec::new()));
        let server = tokio::spawn({
            let armed = armed.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, armed.clone()));
                }
            }
        });
        Self { address, armed, server }
    }

    /// What the processes are given as `FAULT_POINTS`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next process of this function that comes to this point is held and handed over.
    pub fn hold(&self, function: &'static str, point: &'static str) -> oneshot::Receiver<Held> {
        let (arrived, arrival) = oneshot::channel();
        self.armed.lock().unwrap().push(Armed { function, point, arrived });
        arrival
    }

    /// Holds nobody who comes from now on.
    pub fn forget(&self) {
        self.armed.lock().unwrap().clear();
    }
}

impl Drop for Points {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(stream: TcpStream, armed: Arc<Mutex<Vec<Armed>>>) {
    let mut line = BufReader::new(stream);
    let mut said = String::new();
    if line.read_line(&mut said).await.is_err() {
        return;
    }
    let waited_for = {
        let mut armed = armed.lock().unwrap();
        let found = armed.iter().position(|armed| said.trim_end() == format!("{} {}", armed.function, armed.point));
        found.map(|found| armed.swap_remove(found))
    };
    // Nobody waits: the connection ends here, and with it the wait of the process.
    if let Some(armed) = waited_for {
        drop(armed.arrived.send(Held { _line: line }));
    }
}
