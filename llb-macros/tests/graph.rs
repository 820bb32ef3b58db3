//! `graph!` builds what builder calls build: the text form of both is equal.

use llb::prelude::*;
use llb::{Network, State, args, graph};

#[track_caller]
fn same(built: &State, expected: &State) {
    assert_eq!(built.to_text(), expected.to_text());
    assert_eq!(built.image_config(), expected.image_config());
    assert_eq!(built.current_dir(), expected.current_dir());
}

#[test]
fn sources_with_and_without_options() {
    same(&graph! { from image("debian"); }, &image("debian"));
    same(&graph! { from scratch; }, &scratch());
    same(
        &graph! { from local("context"); },
        &local("context").state(),
    );
    same(
        &graph! { from image("debian", platform = llb::platform!("linux/arm64"), layer_limit = 2, internal); },
        &Image::new("debian")
            .platform(llb::platform!("linux/arm64"))
            .layer_limit(2)
            .internal()
            .state(),
    );
    same(
        &graph! { from local("context", exclude = [".git", "target"], shared_key_hint = "x", name = "source"); },
        &local("context")
            .exclude([".git", "target"])
            .shared_key_hint("x")
            .name("source")
            .state(),
    );
    same(
        &graph! { from git("https://example.com/a.git", reference = "v1", keep_git_dir); },
        &git("https://example.com/a.git")
            .reference("v1")
            .keep_git_dir()
            .state(),
    );
    same(
        &graph! { from http("https://example.com/a", filename = "a", chmod = 0o755); },
        &http("https://example.com/a")
            .filename("a")
            .chmod(0o755)
            .state(),
    );
    let base = image("alpine");
    same(&graph! { from &base; }, &base);
    same(
        &graph! { from image("debian").dir("/x"); },
        &image("debian").dir("/x"),
    );
    let reference = String::from("debian");
    same(&graph! { from image(&reference); }, &image(&reference));
}

#[test]
fn values_of_the_state() {
    let version = "3.12";
    let port = "80/udp";
    let built = graph! {
        from image("debian");
        env LANG = "C.UTF-8";
        build_env DEBIAN_FRONTEND = "noninteractive";
        image_env "PYTHON_VERSION" = version;
        unset_env "HOSTNAME";
        prepend_path "/venv/bin";
        dir "/src";
        workdir "/srv";
        user "1000";
        image_user "app";
        hostname "builder";
        network none;
        security sandbox;
        label "org.example.version" = version;
        expose 8080;
        expose port;
        volume "/data";
        stop_signal "SIGTERM";
        entrypoint ["tini", "--"];
        cmd ["python", format!("-m{version}")];
        run "true";
    };
    let expected = image("debian")
        .env("LANG", "C.UTF-8")
        .build_env("DEBIAN_FRONTEND", "noninteractive")
        .image_env("PYTHON_VERSION", "3.12")
        .unset_env("HOSTNAME")
        .prepend_path("/venv/bin")
        .dir("/src")
        .workdir("/srv")
        .user("1000")
        .image_user("app")
        .hostname("builder")
        .network(Network::None)
        .security(llb::Security::Sandbox)
        .label("org.example.version", "3.12")
        .expose("8080")
        .expose("80/udp")
        .volume("/data")
        .stop_signal("SIGTERM")
        .entrypoint(["tini", "--"])
        .cmd(["python", "-m3.12"])
        .run(sh("true"));
    same(&built, &expected);
}

#[test]
fn commands_with_mounts_and_settings() {
    let (package, words) = ("torch>=2", vec!["a b", "c"]);
    let context = local("context").state();
    let built = graph! {
        from image("debian");
        run "pip install {package} {&words...}" with
            cache("/root/.cache/pip", id = "pip", locked),
            cache("/var/cache", "var", source = image("alpine")),
            bind("/src", context.clone(), readonly, selector = "sub"),
            bind("/git", git("https://example.com/a.git", reference = "v1"), no_output),
            tmpfs("/tmp", size = 1 << 20),
            secret("/root/.netrc", id = "netrc", optional),
            secret("TOKEN", as_env = "TOKEN"),
            ssh,
            ssh(id = "other", target = "/ssh"),
            device("nvidia.com/gpu=all", optional),
            output("/out"),
            env A = "1",
            dir "/src",
            user "app",
            name("install {package}"),
            network host,
            ignore_cache,
            valid_exit_codes [0, 3],
            ;
        run ["echo", package];
        run args(["x"]);
        run sh("y").env("B", "2") with readonly_rootfs;
    };
    let expected = image("debian")
        .run(
            sh("pip install 'torch>=2' 'a b' c")
                .mount(cache("/root/.cache/pip", "pip").sharing(Sharing::Locked))
                .mount(cache("/var/cache", "var").source(image("alpine")))
                .mount(bind("/src", &context).readonly().selector("sub"))
                .mount(bind("/git", git("https://example.com/a.git").reference("v1")).no_output())
                .mount(tmpfs("/tmp").size(1 << 20))
                .mount(secret("/root/.netrc").id("netrc").optional())
                .mount(secret("TOKEN").as_env("TOKEN"))
                .mount(ssh())
                .mount(ssh().id("other").target("/ssh"))
                .device(device("nvidia.com/gpu=all").optional())
                .output("/out", scratch())
                .env("A", "1")
                .dir("/src")
                .user("app")
                .name("install {package}")
                .network(Network::Host)
                .ignore_cache()
                .valid_exit_codes([0, 3]),
        )
        .run(args(["echo", package]))
        .run(args(["x"]))
        .run(sh("y").env("B", "2").readonly_rootfs());
    same(&built, &expected);
}

#[test]
fn outputs_of_an_exec() {
    let built = graph! {
        from image("golang");
        exec build = "go build -o /out/app" with output("/out", source = scratch());
        let out = build.output("/out");
        copy out "/app" => "/usr/bin/app";
    };
    let base = image("golang");
    let build = base.exec(sh("go build -o /out/app").output("/out", scratch()));
    same(
        &built,
        &base.copy(build.output("/out"), "/app", "/usr/bin/app"),
    );
}

#[test]
fn files() {
    let mode = 0o700;
    let built = graph! {
        from image("debian");
        mkdir "/a";
        mkdir "/b/c" mode mode parents owner "1000:1000" name "make b";
        mkfile "/d" = "data";
        mkfile "/e" = b"data" mode 0o600 created 0;
        symlink "/link" => "d";
        rm "/tmp/*" allow_wildcard allow_not_found;
        copy local("context") "." => "/src";
        copy image("alpine") "/bin" => "/alpine" exclude ["*.sh"] include ["b*"] owner "app" mode 0o755 follow_symlinks;
        file {
            mkdir "/x" mode 0o711;
            copy scratch "/a" => "/b";
            rm "/y" allow_not_found;
        }
    };
    let expected = image("debian")
        .mkdir("/a", 0o755)
        .file(
            mkdir("/b/c", 0o700)
                .parents()
                .owner("1000:1000")
                .name("make b"),
        )
        .mkfile("/d", 0o644, "data")
        .file(mkfile("/e", 0o600, b"data").created(0))
        .symlink("d", "/link")
        .file(rm("/tmp/*").allow_wildcard().allow_not_found())
        .copy(local("context"), ".", "/src")
        .file(
            copy(image("alpine"), "/bin", "/alpine")
                .contents_only()
                .create_destination()
                .exclude(["*.sh"])
                .include(["b*"])
                .owner("app")
                .mode(0o755)
                .follow_symlinks(),
        )
        .file(
            mkdir("/x", 0o711)
                .copy(scratch(), "/a", "/b")
                .contents_only()
                .create_destination()
                .rm("/y")
                .allow_not_found(),
        );
    same(&built, &expected);
}

#[layer]
fn apt(base: State, packages: &[&str]) -> State {
    base.run(sh!("apt-get install -y {packages...}"))
}

#[test]
fn layers_forks_and_merges() {
    let version = "12.4";
    let built = graph! {
        from image("debian");
        layer apt(&["ca-certificates"]);
        layer |state| state.env("A", "1");
        layer "cuda {version}" { run "cuda"; env CUDA = version; }
        squash "python" { run "p"; run "q"; }
        squash apt(&["jq"]).then(apt(&["bc"]));
        fork tools = apt(&["git"]);
        fork config {
            mkdir "/etc/app";
            mkfile "/etc/app/conf" = "x";
            env CONF = "1";
        }
        merge tools + config;
        let forks = ["x", "y"].map(|name| state.fork(apt(&[name])));
        merge forks;
        run "after";
    };
    let state = image("debian")
        .layer(apt(&["ca-certificates"]))
        .env("A", "1")
        .layer(layer::named("cuda 12.4", |state| {
            state.run(sh("cuda")).env("CUDA", version)
        }))
        .squash(layer::named("python", |state| {
            state.run(sh("p")).run(sh("q"))
        }))
        .squash(apt(&["jq"]).then(apt(&["bc"])));
    let config = |state: State| {
        state
            .mkdir("/etc/app", 0o755)
            .mkfile("/etc/app/conf", 0o644, "x")
            .env("CONF", "1")
    };
    let state = state.merge([state.fork(apt(&["git"])), state.fork(config)]);
    let state = state.merge(["x", "y"].map(|name| state.fork(apt(&[name]))));
    same(&built, &state.run(sh("after")));
}

#[test]
fn conditions_loops_and_rust() {
    fn build(debug: bool, gpu: Option<&str>, jobs: u8) -> State {
        graph! {
            let flags = if debug { "-g" } else { "-O2" };
            from image("gcc");
            for name in ["a", "b"] {
                run "gcc {flags} {name}.c";
            }
            if debug && jobs > 1 {
                run "gdb";
            } else if let Some(version) = gpu {
                run "nvcc {version}";
            } else {
                env NONE = "1";
            }
            match jobs {
                0 => {}
                1 | 2 if !debug => { run "few"; }
                n => { run "make -j{n}"; }
            }
            if state.environment().get("NONE").is_some() { run "none"; }
        }
    }
    let chain = |commands: &[&str]| {
        commands
            .iter()
            .fold(image("gcc"), |state, command| state.run(sh(*command)))
    };
    same(
        &build(true, None, 9),
        &chain(&["gcc -g a.c", "gcc -g b.c", "gdb", "make -j9"]),
    );
    same(
        &build(false, Some("12"), 2),
        &chain(&["gcc -O2 a.c", "gcc -O2 b.c", "nvcc 12", "few"]),
    );
    let none = chain(&["gcc -O2 a.c", "gcc -O2 b.c"])
        .env("NONE", "1")
        .run(sh("none"));
    same(&build(false, None, 0), &none);
}

#[test]
fn several_results_and_graphs_in_graphs() {
    let (app, test) = graph! {
        graph build {
            from image("golang");
            run "go build";
        }
        graph docs {
            graph sphinx { from image("python"); run "pip install sphinx"; }
            from sphinx;
            run "sphinx-build";
        }
        from image("debian");
        copy build "/out" => "/app";
        copy docs "/html" => "/docs";
        let test = state.run(sh("/app/test"));
        return (state, test);
    };
    let build = image("golang").run(sh("go build"));
    let docs = image("python")
        .run(sh("pip install sphinx"))
        .run(sh("sphinx-build"));
    let expected = image("debian")
        .copy(build, "/out", "/app")
        .copy(docs, "/html", "/docs");
    same(&app, &expected);
    same(&test, &expected.run(sh("/app/test")));
}

#[test]
fn a_question_mark_reaches_the_function_around() {
    fn build(platform: &str) -> Result<State, llb::value::platform::PlatformError> {
        Ok(graph! {
            from image("debian", platform = platform.parse()?);
            run "true";
        })
    }
    assert!(build("linux/arm64").is_ok());
    assert!(build("arm64").is_err());
}

#[test]
fn ops_have_the_lines_of_their_statements() {
    let line = line!();
    let state = graph! {
        from image("debian");
        run [];
        run "ok" with
            tmpfs("/t");
        copy image("UPPER".to_lowercase() + "/BAD") "/" => "/";
    };
    let error = state.marshal(&MarshalOptions::linux_amd64()).unwrap_err();
    let lines: Vec<u32> = error
        .problems()
        .iter()
        .map(|problem| problem.location().unwrap().line() - line)
        .collect();
    assert_eq!(lines, [3, 6], "{error}");
}
