//! An app's own endpoint that is told of sign-outs: keeps what it is sent, and answers as a test
//! says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How long to wait for what must come.
const DEADLINE: Duration = Duration::from_secs(60);

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// With this status.
    Status(u16),
    /// Never: the connection stays open.
    Hang,
}

/// What it was sent.
#[derive(Clone, Debug)]
pub struct Post {
    /// The path.
    pub path: String,
    /// The request line and headers.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Post {
    /// The logout token, which must be all of the form.
    #[track_caller]
    pub fn logout_token(&self) -> String {
        let fields: Vec<(String, String)> =
            url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect();
        let [(name, token)] = fields.as_slice() else { panic!("{}", self.body) };
        assert_eq!(name, "logout_token");
        token.clone()
    }
}

#[derive(Default)]
struct State {
    posts: Vec<Post>,
    script: BTreeMap<String, VecDeque<Reply>>,
    usual: BTreeMap<String, Reply>,
}

/// The endpoint. Closed when it goes out of scope.
pub struct Listener {
    /// Its port on 127.0.0.1.
    pub port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Listens on a free port.
    pub async fn start() -> Listener {
        Listener::start_at(0).await
    }

    /// Listens on this port.
    pub async fn start_at(port: u16) -> Listener {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let own = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&own)));
            }
        });
        Listener { port, state, task }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The next answers at this path, one after the other; then 200 again.
    pub fn next(&self, path: &str, replies: &[Reply]) {
        let script = replies.iter().copied().collect();
        self.state.lock().unwrap().script.insert(path.to_owned(), script);
    }

    /// Every answer at this path from now on.
    pub fn always(&self, path: &str, reply: Reply) {
        self.state.lock().unwrap().usual.insert(path.to_owned(), reply);
    }

    /// What came to this path.
    pub fn posts(&self, path: &str) -> Vec<Post> {
        let state = self.state.lock().unwrap();
        state.posts.iter().filter(|post| post.path == path).cloned().collect()
    }

    /// Waits until so many have come to this path.
    pub async fn wait_for(&self, path: &str, count: usize) -> Vec<Post> {
        let begun = Instant::now();
        loop {
            let posts = self.posts(path);
            if posts.len() >= count {
                return posts;
            }
            assert!(begun.elapsed() < DEADLINE, "{path}: {} of {count} came", posts.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let Some(post) = read(&mut stream).await else { return };
    let reply = {
        let mut state = state.lock().unwrap();
        let scripted = state.script.get_mut(&post.path).and_then(VecDeque::pop_front);
        let usual = state.usual.get(&post.path).copied();
        state.posts.push(post);
        scripted.or(usual).unwrap_or(Reply::Status(200))
    };
    match reply {
        Reply::Status(status) => {
            let answer = format!(
                "HTTP/1.1 {status} Answer\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        Reply::Hang => {
            // Until the other side gives up.
            let mut rest = [0; 16];
            let _ = stream.read(&mut rest).await;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Post> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            if body.len() >= length.unwrap_or(0_usize) {
                return Some(Post {
                    path: head.split(' ').nth(1)?.to_owned(),
                    head: head.to_owned(),
                    body: body.to_owned(),
                });
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend(&chunk[..read]),
        }
    }
}
