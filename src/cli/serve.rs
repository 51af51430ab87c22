//! `pointtpa serve`: the page for browsers, on this machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use axum::Router;
use pointtpa::Error;
use serde_json::json;
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

use super::arguments::{Global, Serve};
use super::exit::{BAD_INPUT, Failure, Outcome};
use super::{results, screen};

pub(crate) fn run(global: &Global, command: &Serve) -> Outcome {
    let page = page(command.page.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(|error| failed("start", "the server", error))?;
    runtime.block_on(async {
        // Of this machine alone: nobody else is to use its browser's page.
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, command.port));
        let listener = TcpListener::bind(wanted).await.map_err(|error| Failure {
            code: BAD_INPUT,
            message: format!("port {} cannot be had ({error}). Choose another with --port, or --port 0", command.port),
        })?;
        let address = listener.local_addr().map_err(|error| failed("serve", "the page", error))?;
        let address = format!("http://{address}/");
        if global.json {
            results::print_json(&json!({"address": address, "page": page.display().to_string()}))?;
        } else {
            results::print(&address)?;
            screen::say(&format!("{} is served to this machine until Ctrl-C", page.display()));
        }
        if !command.no_open {
            // A browser of the terminal holds its caller until it ends.
            std::thread::spawn(move || {
                if webbrowser::open(&address).is_err() {
                    screen::say("no browser could be started: open the address yourself");
                }
            });
        }
        let files = Router::new().fallback_service(ServeDir::new(&page));
        axum::serve(listener, files).await.map_err(|error| failed("serve", "the page", error))
    })
}

/// The folder that is asked for, or where the page lies by default.
fn page(asked: Option<&Path>) -> Outcome<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join("page")));
    let places: Vec<PathBuf> = match asked {
        Some(folder) => vec![folder.to_owned()],
        None => beside.into_iter().chain([PathBuf::from("web/dist")]).collect(),
    };
    places.iter().find(|folder| folder.join("index.html").is_file()).cloned().ok_or_else(|| Failure {
        code: BAD_INPUT,
        message: format!(
            "there is no page in {}. Build it with `cargo xtask web`, or name its folder with --page",
            places.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(" or ")
        ),
    })
}

fn failed(action: &'static str, what: &str, source: io::Error) -> Failure {
    Error::Io { action, path: what.into(), source }.into()
}
