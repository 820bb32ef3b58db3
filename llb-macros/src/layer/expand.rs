//! Writes the function that returns the layer.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Ident, ItemFn, Path, ReturnType, parse_quote, parse_quote_spanned};

use super::signature::{Options, Parameter, Signature, check_name};
use crate::errors::Errors;

/// `fn apt(base: State, packages: &[&str]) -> State { .. }` becomes
///
/// ```text
/// fn apt(packages: &[&str]) -> impl Layer {
///     let name = Name::new("apt").with((&&&Shown(&packages)).words("packages"));
///     layer::named(name, move |base: State| -> State { .. })
/// }
/// ```
pub(crate) fn expand(options: TokenStream, function: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = syn::parse2::<Options>(options).unwrap_or_else(|error| {
        errors.push(error);
        Options::default()
    });
    let mut function = match syn::parse2::<ItemFn>(function.clone()) {
        Ok(function) => function,
        Err(error) => {
            errors.push(error);
            let errors = errors.into_tokens();
            return quote!(#errors #function);
        }
    };
    let signature = Signature::read(&function, &mut errors);
    if let Some(name) = &options.name {
        check_name(name, &signature.parameters, &mut errors);
    }
    let krate = options.krate.clone().unwrap_or_else(|| parse_quote!(::llb));

    let body = match (&signature.base, &function.sig.output) {
        (Some(base), output @ ReturnType::Type(_, ty)) if errors.is_empty() => {
            let name = match &options.name {
                Some(name) => quote_spanned!(name.span()=> ::std::format!(#name)),
                None => name_of(&function.sig.ident, &signature.parameters, &krate),
            };
            let block = &function.block;
            // A type that a layer cannot return is underlined where it stands.
            let span = ty.span().resolved_at(Span::mixed_site());
            let here = options
                .krate
                .unwrap_or_else(|| parse_quote_spanned!(span=> ::llb));
            quote_spanned!(span=> #here::layer::named(#name, move |#base| #output #block))
        }
        // Something to call, so that one mistake here is not ten where the function is used.
        _ => {
            function
                .attrs
                .push(parse_quote!(#[allow(unused_mut, unused_variables)]));
            quote!(#krate::layer::named(::std::string::String::new(), |base: #krate::State| base))
        }
    };
    let parameters = signature
        .parameters
        .iter()
        .map(|parameter| &parameter.declaration);
    function.sig.inputs = parse_quote!(#(#parameters),*);
    function.sig.output = parse_quote!(-> impl #krate::Layer);
    function.sig.asyncness = None;
    function.sig.constness = None;
    function.sig.unsafety = None;
    function.sig.abi = None;
    function.sig.variadic = None;
    function.block = parse_quote!({ #body });
    // Mistakes are reported at the line that calls the function.
    if !function
        .attrs
        .iter()
        .any(|attribute| attribute.path().is_ident("track_caller"))
    {
        function.attrs.push(parse_quote!(#[track_caller]));
    }
    let errors = errors.into_tokens();
    quote!(#errors #function)
}

fn name_of(function: &Ident, parameters: &[Parameter], krate: &Path) -> TokenStream {
    let function = plain(function);
    let arguments = parameters.iter().filter_map(|parameter| {
        let argument = parameter.shown.as_ref()?;
        let word = plain(argument);
        Some(quote!(.with((&&&#krate::layer::Shown(&#argument)).words(#word))))
    });
    // The traits of the fallbacks; their names must not meet the user's.
    quote_spanned! {Span::mixed_site()=> {
        #[allow(unused_imports)]
        use #krate::layer::{Nothing as _, ShownAsArgument as _, ShownByDisplay as _};
        #krate::layer::Name::new(#function)#(#arguments)*
    }}
}

/// An identifier without `r#`.
fn plain(identifier: &Ident) -> String {
    let text = identifier.to_string();
    text.strip_prefix("r#")
        .map_or_else(|| text.clone(), str::to_owned)
}
