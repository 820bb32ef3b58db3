//! Streams of this machine where addresses are expected.

use std::fs;

use llb::client::{ErrorKind, Export, Solve, Upload};
use llb::prelude::*;

use super::testbed::{containerd, engine, unique};

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, path, text.as_bytes())
            .unwrap();
    }
    archive.into_inner().unwrap()
}

#[tokio::test]
async fn a_graph_downloads_what_the_program_has() {
    for name in ["containerd", "graphdriver"] {
        let client = engine(name).await;
        let home = tempfile::tempdir().unwrap();
        let large: Vec<u8> = unique().bytes().cycle().take(3 << 20).collect();
        fs::write(home.path().join("large"), &large).unwrap();
        let state = http(Upload::url("large")).filename("it").state();
        let out = home.path().join("out");
        let solve = Solve::state(&state, &MarshalOptions::linux_amd64())
            .unwrap()
            .upload("large", Upload::file(home.path().join("large")))
            .export(Export::local(&out));
        client.solve(solve, &mut ()).await.unwrap();
        assert!(fs::read(out.join("it")).unwrap() == large, "{name}");
    }
}

#[tokio::test]
async fn an_archive_is_the_context_of_a_dockerfile() {
    for name in ["containerd", "graphdriver"] {
        let client = engine(name).await;
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("out");
        let id = unique();
        let context = archive(&[("Dockerfile", "FROM scratch\nCOPY id /\n"), ("id", &id)]);
        let solve = Solve::frontend("dockerfile.v0")
            .upload("context.tar", Upload::reader(std::io::Cursor::new(context)))
            .attribute("context", Upload::url("context.tar"))
            .export(Export::local(&out));
        client.solve(solve, &mut ()).await.unwrap();
        assert_eq!(fs::read_to_string(out.join("id")).unwrap(), id, "{name}");
    }
}

#[tokio::test]
async fn an_upload_that_cannot_be_read_fails_the_build_with_its_name() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the tape is torn"))
        }
    }
    let client = containerd().await;
    // Daemons keep what they have downloaded from an address.
    let name = unique();
    let solve = |upload: Upload| {
        let state = http(Upload::url(&name)).filename("it").state();
        Solve::state(&state, &MarshalOptions::linux_amd64())
            .unwrap()
            .upload(&name, upload)
    };
    let error = client
        .solve(solve(Upload::reader(Broken)), &mut ())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalFile, "{error}");
    let text = error.to_string();
    assert!(
        text.contains(&format!("upload `{name}`: the tape is torn")),
        "{text}"
    );
    let missing = solve(Upload::file("/no/such/file"));
    let error = client.solve(missing, &mut ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalFile, "{error}");
}
