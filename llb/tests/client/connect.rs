//! Reaching daemons and asking what they are.

use llb::client::{Address, Client, Engine, ErrorKind, Prune};

use super::testbed::{containerd, engine};

#[tokio::test]
async fn both_engines_answer_and_tell_their_capabilities() {
    for (name, merges) in [("containerd", true), ("graphdriver", false)] {
        let client = engine(name).await;
        let Engine::Docker {
            api_version,
            image_store,
        } = client.engine()
        else {
            panic!("{name} is a Docker engine: {:?}", client.engine());
        };
        assert_eq!(*image_store, merges, "{name}");
        assert!(api_version.is_some_and(|version| version >= (1, 40)));
        let workers = client.list_workers().await.unwrap();
        assert!(workers[0].platforms[0].starts_with("linux/"), "{workers:?}");
        client.info().await.unwrap();
        let capabilities = client.capabilities().await.unwrap();
        assert_eq!(capabilities.has_merge(), merges, "{name}");
        assert_eq!(capabilities.has_diff(), merges, "{name}");
        assert!(capabilities.has("exec.meta.base"));
        assert!(!capabilities.has("no.such.capability"));
    }
}

#[tokio::test]
async fn the_build_cache_is_listed_and_pruned() {
    let client = containerd().await;
    client.disk_usage(&[]).await.unwrap();
    let nothing = Prune::new().filter("id==no-such-record");
    assert_eq!(client.prune(nothing).await.unwrap(), []);
}

#[tokio::test]
async fn where_nothing_listens_the_error_says_so() {
    let home = tempfile::tempdir().unwrap();
    let missing = Address::unix(home.path().join("none.sock"));
    let error = Client::connect(&missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("no such socket"), "{error}");

    let left = home.path().join("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
    let error = Client::connect(&Address::unix(left)).await.unwrap_err();
    assert!(error.to_string().contains("nothing listens"), "{error}");
}
