fn main() {
    let _ = llb::graph! {
        from image("Debian");
        rnu "make";
        workdir "src";
        run "echo 'a" with cache("cache", id = "a", lokced);
        fork unused { run "true"; }
        mkdir "/a" mode 755;
    };
}
