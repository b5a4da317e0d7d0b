//! What never becomes a request is refused with words, also while the client is still sending.

use super::*;

const GOOD: &str = "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";

/// Sends `bytes` and gives all that comes back, over plain HTTP or TLS.
async fn told(scene: &Scene, door: Door, bytes: &[u8]) -> String {
    if door == Door::Http {
        return exchange(scene.connect().await, bytes).await;
    }
    exchange(scene.secure(b"http/1.1").await, bytes).await
}

async fn exchange(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    bytes: &[u8],
) -> String {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (answer, sent) = tokio::join!(to_end(&mut reader), async {
        writer.write_all(bytes).await?;
        writer.flush().await
    });
    sent.expect("the node reads on while it refuses");
    answer
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_refused_with_words() {
    for door in [Door::Http, Door::Https] {
        let scene = scene(door, 100);
        let check = async |bytes: &str, status: &str, words: &str| {
            let answer = told(&scene, door, bytes.as_bytes()).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            for header in [
                "connection: close".to_owned(),
                "content-type: text/plain; charset=utf-8".to_owned(),
                format!("content-length: {}", body.len()),
            ] {
                assert!(head.contains(&header), "{header}: {head}");
            }
            assert!(body.contains(words), "{words}: {body}");
            assert!(body.ends_with(".\n"), "{body}");
        };
        let get = |headers: &str| format!("GET /who HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        check("\u{1}garbage\r\n\r\n", "400", "a method like GET").await;
        check("GET /a\u{7f} HTTP/1.1\r\n\r\n", "400", "percent-encoded").await;
        check("GET / HTTP/9.9\r\n\r\n", "400", "HTTP/1.1 or HTTP/1.0").await;
        check(&get("a b: c\r\n"), "400", "`Name: value`").await;
        let twice = "Content-Length: 5\r\nContent-Length: 6\r\n";
        check(&get(twice), "400", "its Content-Length").await;
        check(
            &get("Transfer-Encoding: gzip\r\n"),
            "400",
            "its Transfer-Encoding",
        )
        .await;
        let lines: String = (0..101).map(|n| format!("X-{n}: 1\r\n")).collect();
        check(&get(&lines), "431", "more than 100 lines").await;
        let long = format!("X-Long: {}\r\n", "x".repeat(2 << 20));
        check(&get(&long), "431", "longer than 256 KiB").await;
        let far = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(70_000));
        check(&far, "414", "Shorten the address").await;
    }
}

#[tokio::test]
async fn an_answer_before_the_garbage_stays_whole_and_the_refusal_says_where() {
    for door in [Door::Http, Door::Https] {
        let scene = scene(door, 100);
        for (before, place) in [(1, "request number 1"), (3, "request number 3")] {
            let bytes = format!("{}\x01garbage", GOOD.repeat(before));
            let answers = told(&scene, door, bytes.as_bytes()).await;
            let parts: Vec<_> = answers.split("HTTP/1.1 ").skip(1).collect();
            assert_eq!(parts.len(), before + 1, "{answers}");
            for part in &parts[..before] {
                assert!(
                    part.starts_with("200") && part.ends_with("\r\n\r\n5"),
                    "{part}"
                );
            }
            assert!(parts[before].starts_with("400"), "{answers}");
            assert!(parts[before].contains(place), "{answers}");
        }
    }
}

#[tokio::test]
async fn an_upload_that_looks_like_an_answer_is_sent_as_it_is() {
    let scene = scene(Door::Http, 100);
    let answer = scene
        .ask("GET /bare HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with(BARE), "{answer}");
}

#[tokio::test]
async fn a_head_without_end_is_refused_with_words() {
    for door in [Door::Http, Door::Https] {
        let scene = scene(door, 100);
        let answer = told(&scene, door, b"GET /who HTTP/1.1\r\nHost: x\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("did not arrive within 0.5 s"), "{answer}");
    }
}

#[tokio::test]
async fn garbage_on_the_tls_port_is_refused_with_words() {
    let scene = scene(Door::Https, 100);
    let answer = scene.ask("SSH-2.0-x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        answer.contains("Cumulet cannot read this request"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_refused_client_that_goes_on_does_not_hold_up_a_stop() {
    for door in [Door::Http, Door::Https] {
        let scene = scene(door, 100);
        let mut stream = scene.connect().await;
        stream.write_all(b"\x01garbage\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 400");
        let begun = Instant::now();
        scene.stop.cancel();
        scene.running.await.unwrap().unwrap();
        assert!(begun.elapsed() < FAREWELL, "{:?}", begun.elapsed());
    }
}

/// What curl does: it ends its upload, far from its announced length, when it reads the head of a
/// refusal. The library resets such a stream; the answer must be on its way by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_upload_that_is_ended_by_its_refusal_gets_the_whole_answer() {
    let scene = scene(Door::Https, 100);
    // The library ends a connection after 1024 streams that it had to reset.
    for _ in 0..25 {
        let (client, connection) = h2::client::handshake(scene.secure(b"h2").await)
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        for round in 0..400 {
            let request = http::Request::post("https://home.local/refuse")
                .header("content-length", "1000000")
                .body(())
                .unwrap();
            let (answer, mut upload) = client.send_request(request, false).unwrap();
            upload.send_data(vec![b'x'; 100].into(), false).unwrap();
            let mut answer = answer.await.unwrap();
            assert_eq!(answer.status(), 401);
            upload.send_data(Vec::new().into(), true).unwrap();
            let mut body = Vec::new();
            while let Some(data) = answer.body_mut().data().await {
                body.extend(data.unwrap_or_else(|error| panic!("round {round}: {error}")));
            }
            assert_eq!(body, BARE.as_bytes());
            client = client.ready().await.unwrap();
        }
        driver.abort();
    }
}
