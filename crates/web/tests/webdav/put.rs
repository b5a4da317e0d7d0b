//! PUT: whole bodies only, of any size, within the quota (RFC 4918 9.7, R90).

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;

use crate::scene::{Node, at};

#[tokio::test]
async fn a_new_file_is_201_and_a_new_content_204_with_another_etag() {
    let node = Node::start();
    let first = node.put(&at("a.txt"), "one").await.is(201);
    let second = node.put(&at("a.txt"), "two").await.is(204);
    assert_ne!(first.header("etag"), second.header("etag"));
    assert_eq!(first.header("etag"), first.header("oc-etag"));
    assert_eq!(first.header("oc-fileid"), second.header("oc-fileid"));
    assert_eq!(node.get(&at("a.txt")).await.is(200).text(), "two");
    assert_eq!(std::fs::read(node.disk("a.txt")).unwrap(), b"two");
}

fn chunked(pieces: Vec<Result<Bytes, std::io::Error>>) -> Body {
    Body::from_stream(stream::iter(pieces))
}

#[tokio::test]
async fn a_body_without_a_length_is_taken() {
    let node = Node::start();
    let piece = Bytes::from(vec![b'x'; 100_000]);
    let body = chunked((0..12).map(|_| Ok(piece.clone())).collect());
    node.put(&at("big"), body).await.is(201);
    assert_eq!(node.get(&at("big")).await.is(200).body.len(), 1_200_000);
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_the_old_file_and_no_temporary_one() {
    let node = Node::start();
    node.put(&at("a"), "old").await.is(201);
    for path in ["a", "b"] {
        let body = chunked(vec![
            Ok(Bytes::from(vec![b'x'; 300_000])),
            Err(std::io::Error::other("cable")),
        ]);
        node.put(&at(path), body).await.is(400);
    }
    assert_eq!(node.get(&at("a")).await.is(200).text(), "old");
    node.get(&at("b")).await.is(404);
    assert_eq!(node.temps(), 0);
}

#[tokio::test]
async fn a_lying_length_leaves_nothing() {
    let node = Node::start();
    for announced in ["3", "300000", "9"] {
        let body = chunked(vec![Ok(Bytes::from_static(b"hello"))]);
        let request = node.request("PUT", &at("a")).body(body);
        let reply = request.header("content-length", announced).send().await;
        assert!([400, 413].contains(&reply.status), "{announced}: {reply:?}");
    }
    node.get(&at("a")).await.is(404);
    assert_eq!(node.temps(), 0);
}

#[tokio::test]
async fn checksum_and_mtime_of_owncloud_are_honored() {
    let node = Node::start();
    let put = |checksum: &str| {
        node.request("PUT", &at("a"))
            .header("oc-checksum", checksum)
            .header("x-oc-mtime", "784111777")
            .body("hello")
    };
    put("SHA1:0000000000000000000000000000000000000000")
        .send()
        .await
        .says(400, "checksum");
    put("SHA1:zz").send().await.says(400, "OC-Checksum");
    node.get(&at("a")).await.is(404);
    let reply = put("SHA1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d")
        .send()
        .await;
    assert_eq!(reply.is(201).header("x-oc-mtime"), "accepted");
    let head = node.call("HEAD", &at("a")).await.is(200);
    assert_eq!(
        head.header("last-modified"),
        "Sun, 06 Nov 1994 08:49:37 GMT"
    );
}

#[tokio::test]
async fn a_part_of_a_file_is_refused() {
    let node = Node::start();
    let put = node.request("PUT", &at("a")).body("hello");
    let reply = put.header("content-range", "bytes 0-4/10").send().await;
    reply.says(400, "Content-Range");
    node.get(&at("a")).await.is(404);
}

#[tokio::test]
async fn a_folder_cannot_be_written_and_a_missing_one_is_409() {
    let node = Node::start();
    node.call("MKCOL", &at("d")).await.is(201);
    node.put(&at("d"), "x").await.is(405);
    node.put(&at("d/"), "x").await.is(405);
    node.put("/dav/files/alice", "x").await.is(405);
    node.put(&at("no/a"), "x").await.is(409);
    node.put(&at("d/a"), "x").await.is(201);
    node.put(&at("d/a/b"), "x").await.is(409);
    node.put("/dav/files/nobody/a", "x").await.is(404);
    node.put("/dav/files", "x").await.is(403);
}

#[tokio::test]
async fn a_full_quota_is_507_before_and_in_the_middle_of_the_body() {
    let node = Node::start();
    node.app
        .files
        .set_quota(node.alice.space.id, Some(500_000))
        .unwrap();
    node.put(&at("a"), vec![b'x'; 400_000]).await.is(201);
    let announced = node.put(&at("b"), vec![b'x'; 200_000]).await;
    announced.says(507, "quota-not-exceeded");
    let pieces = (0..10).map(|_| Ok(Bytes::from(vec![b'x'; 50_000])));
    let streamed = node.put(&at("b"), chunked(pieces.collect())).await;
    streamed.says(507, "quota-not-exceeded");
    node.put(&at("a"), vec![b'y'; 450_000]).await.is(204);
    assert_eq!(node.temps(), 0);
}
