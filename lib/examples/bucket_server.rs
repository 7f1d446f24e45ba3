//! The buckets of a folder of dumps over HTTP: `GET /` is a page, `GET /json` the document.
//!
//! `cargo run -p dumpscope-lib --example bucket_server -- dumps/ 8080` serves on this machine only. Without a folder it judges a
//! small dump, prints what it would serve and ends.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use dumpscope::document::Document;
use dumpscope::{Options, triage};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Text that may stand in HTML.
fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn page(document: &Document) -> String {
    let mut out =
        String::from("<!doctype html><meta charset=utf-8><title>Buckets</title><h1>Buckets</h1><ol>");
    for bucket in &document.buckets {
        out.push_str(&format!("<li>{} dumps: <code>{}</code><ul>", bucket.count, html(&bucket.signature)));
        for path in &bucket.paths {
            out.push_str(&format!("<li>{}", html(path)));
        }
        out.push_str("</ul>");
    }
    out + "</ol>"
}

fn answer(mut stream: TcpStream, document: &Document) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new((&stream).take(4096)).read_line(&mut line)?;
    let (status, kind, body) = match line.split(' ').nth(1) {
        Some("/") => ("200 OK", "text/html; charset=utf-8", page(document)),
        Some("/json") => ("200 OK", "application/json", serde_json::to_string(document)?),
        _ => ("404 Not Found", "text/plain", "not here\n".to_owned()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(folder) = args.next() else {
        let demo = tempfile::tempdir()?;
        std::fs::write(demo.path().join("demo.dmp"), dumpscope_fixtures::small::x64_crash().0.bytes())?;
        println!("{}", page(&triage(&[demo.path()], &Options::new())));
        return Ok(());
    };
    let port = args.next().and_then(|p| p.parse().ok()).unwrap_or(8080);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("http://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        // Anew for each visitor: a folder of dumps changes.
        let document = triage(&[&folder], &Options::new());
        // A visitor who leaves early is no reason to end.
        let _ = stream.and_then(|s| answer(s, &document));
    }
    Ok(())
}
