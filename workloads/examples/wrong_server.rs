//! An asynchronous server that looks right and is not, and what a trial says of it.
//!
//! One node is the primary and takes the writes. It answers, and tells the others; any node answers
//! reads. So a read elsewhere may miss a write that was answered. It is an ordinary server: connections,
//! lines of text, a task for each of them. It knows nothing of us but the names of hosts.
//!
//! ```sh
//! cargo run -p shakedown-workloads --example wrong_server
//! ```

use shakedown_impls::object::register::{Key, Op, Ret, Value};
use shakedown_impls::protocol::NodeId;
use shakedown_workloads::trial::Trial;
use shakedown_workloads::world::sim::{AskError, Server, ServerResult, host};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::task::spawn_local;
use turmoil::net::{TcpListener, TcpStream};

pub(crate) const PRIMARY: NodeId = NodeId(0);
const PORT: u16 = 80;

type Values = Rc<RefCell<BTreeMap<Key, Value>>>;

/// What a node does.
pub(crate) async fn serve(server: Server) -> ServerResult {
    let (listener, values) = (TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?, Values::default());
    loop {
        let (stream, _) = listener.accept().await?;
        // Whoever breaks a connection breaks only that.
        spawn_local(talk(stream, server.clone(), values.clone()));
    }
}

async fn talk(mut stream: TcpStream, server: Server, values: Values) -> io::Result<()> {
    let (read, mut write) = tokio::io::split(&mut stream);
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().map_err(io::Error::other);
        let answer = match words[..] {
            ["read", key] => match values.borrow().get(&(number(key)? as Key)) {
                Some(value) => value.to_string(),
                None => "nothing".to_owned(),
            },
            ["write", key, value] => {
                values.borrow_mut().insert(number(key)? as Key, number(value)?);
                for other in server.others() {
                    spawn_local(say(other, format!("copy {key} {value}")));
                }
                "written".to_owned()
            }
            ["copy", key, value] => {
                values.borrow_mut().insert(number(key)? as Key, number(value)?);
                "copied".to_owned()
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

/// Says something to a node and returns what it answers.
async fn say(to: NodeId, what: String) -> Result<String, AskError> {
    let connected = TcpStream::connect((host(to), PORT)).await;
    let mut stream = connected.map_err(|error| AskError::Refused(error.to_string()))?;
    let unknown = |error: io::Error| AskError::Unknown(error.to_string());
    stream.write_all(format!("{what}\n").as_bytes()).await.map_err(unknown)?;
    let line = BufReader::new(stream).lines().next_line().await.map_err(unknown)?;
    line.ok_or_else(|| AskError::Unknown("the connection ended".to_owned()))
}

/// What a client does.
pub(crate) async fn ask(op: Op, node: NodeId) -> Result<Ret, AskError> {
    match op {
        Op::Read { key } => Ok(Ret::Value(say(node, format!("read {key}")).await?.parse().ok())),
        Op::Write { key, value } => say(PRIMARY, format!("write {key} {value}")).await.map(|_| Ret::Written),
    }
}

fn main() {
    Trial::server("store", serve, ask).check();
}
