//! `#[builder]`: a program of a build function.

mod signature;

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, ExprLit, ItemFn, Lit, Meta, parse_quote};

use crate::errors::Errors;
use signature::{Options, check};

/// `async fn build(cx: &mut Build) -> Result<Image> { .. }` stays as it is, and gets
///
/// ```text
/// fn main() -> std::process::ExitCode {
///     let build = llb::gateway::Frontend::new(build).describe("the first paragraph of its docs");
///     llb::builder::Program::new(env!("CARGO_BIN_NAME")).version(env!("CARGO_PKG_VERSION")).main(build)
/// }
/// ```
pub(crate) fn expand(options: TokenStream, function: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = syn::parse2::<Options>(options).unwrap_or_else(|error| {
        errors.push(error);
        Options::default()
    });
    let function = match syn::parse2::<ItemFn>(function.clone()) {
        Ok(function) => function,
        Err(error) => {
            errors.push(error);
            let errors = errors.into_tokens();
            return quote!(#errors #function fn main() {});
        }
    };
    check(&function, &mut errors);
    if !errors.is_empty() {
        let errors = errors.into_tokens();
        // A program without `main` is a mistake that nobody made.
        let main = (function.sig.ident != "main").then(|| {
            quote!(
                fn main() {}
            )
        });
        return quote!(#errors #function #main);
    }
    let krate = options.krate.unwrap_or_else(|| parse_quote!(::llb));
    let name = options.name.map_or_else(
        || quote!(::core::env!("CARGO_BIN_NAME")),
        |name| quote!(#name),
    );
    let build = &function.sig.ident;
    let description = description(&function.attrs);
    // A function that is no build function is underlined where it says what it returns.
    let span = function.sig.output.span().resolved_at(Span::mixed_site());
    let main = quote_spanned! {span=>
        fn main() -> ::std::process::ExitCode {
            let build = #krate::gateway::Frontend::new(#build).describe(#description);
            #krate::builder::Program::new(#name)
                .version(::core::env!("CARGO_PKG_VERSION"))
                .main(build)
        }
    };
    quote!(#function #main)
}

/// The first paragraph of the docs, in one line and without a full stop.
fn description(attributes: &[Attribute]) -> String {
    let lines = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        });
    let lines: Vec<String> = lines
        .flat_map(|text| {
            text.split('\n')
                .map(|line| line.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    let paragraph = lines.iter().skip_while(|line| line.is_empty());
    let paragraph: Vec<&str> = paragraph
        .take_while(|line| !line.is_empty())
        .map(String::as_str)
        .collect();
    let text = paragraph.join(" ");
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(options: &TokenStream, function: &TokenStream) -> String {
        let file: syn::File = syn::parse2(expand(options.clone(), function)).unwrap();
        let main = file.items.last().unwrap();
        quote!(#main).to_string()
    }

    #[test]
    fn the_function_stays_and_main_is_made_of_public_calls() {
        let function = quote! {
            /// An image
            /// with tools.
            ///
            /// And more.
            async fn build(cx: &mut Build) -> Result<Image> { todo(cx) }
        };
        assert_eq!(
            expanded(&quote!(), &function),
            quote! {
                fn main() -> ::std::process::ExitCode {
                    let build = ::llb::gateway::Frontend::new(build).describe("An image with tools");
                    ::llb::builder::Program::new(::core::env!("CARGO_BIN_NAME"))
                        .version(::core::env!("CARGO_PKG_VERSION"))
                        .main(build)
                }
            }
            .to_string()
        );
        let file: syn::File = syn::parse2(expand(quote!(), &function)).unwrap();
        let first = &file.items[0];
        assert_eq!(quote!(#first).to_string(), function.to_string());
    }

    #[test]
    fn options_name_the_program_and_the_crate() {
        let function = quote!(
            async fn make(cx: &mut Build) -> Result<State> {
                todo(cx)
            }
        );
        let main = expanded(&quote!(name = "app", crate = other::llb), &function);
        let part = quote!(other::llb::builder::Program::new("app")).to_string();
        assert!(main.contains(&part), "{main}");
        assert!(main.contains(&quote!(describe("")).to_string()), "{main}");
    }
}
