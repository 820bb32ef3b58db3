//! What `#[builder]` reads from its options, and what it expects of the function.

use syn::parse::{Parse, ParseStream};
use syn::{FnArg, Ident, ItemFn, LitStr, Path, ReturnType, Token, Type};

use crate::errors::Errors;

const EXPECTED: &str = "`async fn build(cx: &mut Build) -> Result<Image>`";

/// `#[builder(name = "…", crate = path)]`.
#[derive(Default)]
pub(super) struct Options {
    pub(super) name: Option<LitStr>,
    pub(super) krate: Option<Path>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            if input.peek(Token![crate]) {
                let key: Token![crate] = input.parse()?;
                input.parse::<Token![=]>()?;
                if options.krate.replace(input.parse()?).is_some() {
                    return Err(syn::Error::new_spanned(key, "`crate` is given twice"));
                }
            } else {
                let key: Ident = input.parse()?;
                if key != "name" {
                    let message = format!(
                        "unknown option `{key}`: expected `name = \"…\"` or `crate = path`"
                    );
                    return Err(syn::Error::new_spanned(key, message));
                }
                input.parse::<Token![=]>()?;
                if options.name.replace(input.parse()?).is_some() {
                    return Err(syn::Error::new_spanned(key, "`name` is given twice"));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

/// Records everything that keeps the function from being a build function.
pub(super) fn check(function: &ItemFn, errors: &mut Errors) {
    let signature = &function.sig;
    if signature.ident == "main" {
        errors.at(
            &signature.ident,
            "`#[builder]` writes `main`: give the function another name, such as `build`",
        );
    }
    if signature.asyncness.is_none() {
        errors.at(
            signature.fn_token,
            format!("a build function waits for answers: found `fn`, expected {EXPECTED}"),
        );
    }
    if !signature.generics.params.is_empty() {
        errors.at(
            &signature.generics,
            "a build function has no generics: nothing calls it but the program",
        );
    }
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        None => errors.here(
            signature.paren_token.span.join(),
            format!("a build function is given its build: found no parameter, expected {EXPECTED}"),
        ),
        Some(FnArg::Typed(first)) if is_mutable_reference(&first.ty) => {}
        Some(first) => errors.at(
            first,
            format!("the parameter of a build function is its build: expected `cx: &mut Build`, as in {EXPECTED}"),
        ),
    }
    for more in inputs {
        errors.at(
            more,
            "a build function has one parameter: ask the build for options, `cx.build_arg(\"NAME\")`",
        );
    }
    if matches!(signature.output, ReturnType::Default) {
        errors.here(
            signature.paren_token.span.close(),
            format!(
                "a build function returns what it makes: found no return type, expected {EXPECTED}"
            ),
        );
    }
}

fn is_mutable_reference(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => reference.mutability.is_some(),
        Type::Group(group) => is_mutable_reference(&group.elem),
        Type::Paren(paren) => is_mutable_reference(&paren.elem),
        _ => false,
    }
}
