//! What pages say, and that it is true and in the language of the reader.

use crate::scene::Node;

#[tokio::test]
async fn a_name_that_cannot_be_given_is_told_beside_the_name() {
    let node = Node::start();
    let alice = &node.alice;
    let check = async |name: &str, status| {
        let page = node
            .post("/rename/alice/Shared/file.txt", &format!("name={name}"))
            .by(alice)
            .send()
            .await
            .is(status);
        let text = page.text().to_owned();
        assert!(text.contains("data-problem"), "{text}");
        assert!(
            text.contains("action=\"/rename/alice/Shared/file.txt\""),
            "{text}"
        );
        assert!(text.contains(&format!("value=\"{name}\"")), "{text}");
    };
    check("Home", 409).await;
    check("..", 400).await;
}

#[tokio::test]
async fn a_quota_that_is_saved_unchanged_stays_the_same() {
    let node = Node::start();
    let alice = &node.alice;
    let save = async |quota: &str| {
        node.post("/admin/people/bob/quota", &format!("quota={quota}"))
            .by(alice)
            .send()
            .await
            .is(303);
        node.get("/admin/people/bob")
            .by(alice)
            .send()
            .await
            .is(200)
            .text()
            .to_owned()
    };
    let page = save("200GB").await;
    assert!(page.contains("value=\"200 GB\""), "{page}");
    let page = save("200 GB").await;
    assert!(page.contains("0 B / 200 GB"), "{page}");
    let bytes = node.app.files.usage(node.bob.space.id).unwrap().quota;
    assert_eq!(bytes, Some(200_000_000_000));
}

#[tokio::test]
async fn dates_are_spelled_in_the_language_of_the_page() {
    let node = Node::start();
    let list = async |language: &str| {
        let call = node.get("/files/alice/Shared").by(&node.alice);
        call.header("accept-language", language)
            .send()
            .await
            .is(200)
            .text()
            .to_owned()
    };
    assert!(list("en").await.contains("24 Nov 2026, 05:04 UTC"));
    assert!(list("zh-CN").await.contains("2026年11月24日 05:04 UTC"));
}

#[tokio::test]
async fn a_set_up_link_that_was_used_says_so_and_shows_no_words() {
    let node = Node::start();
    let page = node
        .get("/setup/AAAAAAAAAAAAAAAAAAAAAA")
        .send()
        .await
        .is(404);
    assert!(page.text().contains("Set up already"), "{}", page.text());
    assert!(!page.text().contains("class=\"words\""));
}
