//! The bucket of the harness is one that other tests can be held to.

use anyhow::Result;
use common::http::{Timeouts, Trust, client};
use tests::s3::S3Server;

#[tokio::test]
async fn everybody_reads_and_nobody_writes_without_a_signature() -> Result<()> {
    common::crypto::install();
    let server = S3Server::start().await?;
    server.write("a/b", "text")?;
    let client = client("anybody", Trust::SystemAnd(server.ca()), Timeouts::default())?;
    let url = |path: &str| format!("{}{path}", server.url());
    for (request, status) in [
        (client.get(url("/a/b")), 200),
        (client.get(url("/a/c")), 404),
        (client.put(url("/a/b")).body("other"), 403),
        (client.delete(url("/a/b")), 403),
        (client.get(url("?list-type=2")), 403),
        (client.post(url("/a/b?uploads=")), 403),
        (client.put(url("/a/b?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00")), 400),
    ] {
        let request = request.build()?;
        let what = format!("{} {}", request.method(), request.url());
        assert_eq!(client.execute(request).await?.status().as_u16(), status, "{what}");
    }
    assert_eq!(server.get("a/b").await?.map(|it| it.bytes), Some(b"text".to_vec()));
    assert_eq!(server.keys()?, ["a/b"]);
    Ok(())
}

#[tokio::test]
async fn it_goes_away_and_comes_back_as_it_was() -> Result<()> {
    common::crypto::install();
    let mut server = S3Server::start().await?;
    server.write("a/b", "text")?;
    server.go_away().await;
    assert!(server.get("a/b").await.is_err());
    server.come_back().await?;
    assert_eq!(server.get("a/b").await?.map(|it| it.bytes), Some(b"text".to_vec()));
    Ok(())
}
