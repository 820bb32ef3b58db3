#[llb::builder]
struct Builder;
