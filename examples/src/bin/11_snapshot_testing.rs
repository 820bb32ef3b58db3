//! How do I review what a change does to a build?
//!
//! The text form of a graph is stable: ops are named after what they do, never after a digest. So the test below fails
//! with a diff of the lines that changed, and `cargo insta review` takes the new ones over.

use llb::prelude::*;

/// The image under test.
fn thumbnailer(release: &str, with_ffmpeg: bool) -> State {
    image(format!("debian:{release}-slim"))
        .layer(layer::when(with_ffmpeg, |state| {
            state.run(sh("apt-get install -y ffmpeg").name("ffmpeg"))
        }))
        .copy(
            local("context"),
            "/thumbnailer",
            "/usr/local/bin/thumbnailer",
        )
        .cmd(["thumbnailer"])
}

fn main() {
    print!("{}", thumbnailer("bookworm", true).to_text());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ffmpeg_is_installed_before_the_thumbnailer_comes_in() {
        insta::assert_snapshot!(thumbnailer("bookworm", true).to_text(), @r#"
        platform linux/amd64
        %debian = source "docker-image://docker.io/library/debian:bookworm-slim"
        %ffmpeg = exec "/bin/sh" "-c" "apt-get install -y ffmpeg" cwd=/ name="ffmpeg" {
          / = %debian -> out0
        }
        %context = local "context"
        %copy-thumbnailer = file {
          on %ffmpeg
          copy %context "/thumbnailer" => "/usr/local/bin/thumbnailer" contents-only create-destination
        }
        return %copy-thumbnailer
        "#);
    }

    #[test]
    fn without_ffmpeg_nothing_runs() {
        let text = thumbnailer("bookworm", false).to_text();
        assert!(!text.contains(" = exec "), "{text}");
    }
}
