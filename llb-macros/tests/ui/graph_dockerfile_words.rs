fn main() {
    let _ = llb::graph! {
        from image("debian");
        ENV LANG = "C.UTF-8";
        ADD local("context") "." => "/src";
    };
}
