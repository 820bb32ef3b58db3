//! What `#[layer]` reads from its options and from the function.

use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{FnArg, Ident, ItemFn, LitStr, Pat, PatType, Path, ReturnType, Token, Type};

use crate::errors::Errors;

/// `#[layer(name = "…", crate = path)]`.
#[derive(Default)]
pub(super) struct Options {
    pub(super) name: Option<LitStr>,
    pub(super) krate: Option<Path>,
}

/// The parameters of the function, apart.
pub(super) struct Signature {
    /// The state that the layer is put on; none if the function does not take it, which is a mistake.
    pub(super) base: Option<PatType>,
    /// Everything else, without the attributes of this macro.
    pub(super) parameters: Vec<Parameter>,
}

pub(super) struct Parameter {
    pub(super) declaration: PatType,
    /// Its name, if it has one and may be shown.
    pub(super) shown: Option<Ident>,
    is_skipped: bool,
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
                if key == "skip" {
                    let message = "`skip` belongs before a parameter: `#[layer(skip)] token: &str`";
                    return Err(syn::Error::new_spanned(key, message));
                }
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

impl Signature {
    /// Reads the function; what cannot be read is recorded, and the rest is read as well as it can be.
    pub(super) fn read(function: &ItemFn, errors: &mut Errors) -> Self {
        refuse_qualifiers(function, errors);
        let mut inputs = function.sig.inputs.iter();
        let mut parameters = Vec::new();
        let base = match inputs.next() {
            None => {
                errors.here(
                    function.sig.paren_token.span.join(),
                    "a layer needs the state that it is put on: found no parameter, expected `base: State` as the first",
                );
                None
            }
            Some(FnArg::Receiver(receiver)) => {
                errors.at(
                    receiver,
                    "a layer is a function of its own: found `self`, expected `base: State` as the first parameter",
                );
                None
            }
            Some(FnArg::Typed(base)) if is_state(&base.ty) => Some(base.clone()),
            Some(FnArg::Typed(other)) => {
                errors.at(
                    &other.ty,
                    format!(
                        "the first parameter of a layer is the state that it is put on: found `{}`, expected `base: State`",
                        source_text(&other.ty)
                    ),
                );
                // A forgotten base: what is first is an argument. A borrowed base is a base.
                if !is_reference_to_state(&other.ty) {
                    parameters.push(Parameter::read(other, errors));
                }
                None
            }
        };
        if matches!(function.sig.output, ReturnType::Default) {
            errors.here(
                function.sig.paren_token.span.close(),
                "a layer returns the state that it made: found no return type, expected `-> State` or `-> Result<State, E>`",
            );
        }
        for input in inputs {
            if let FnArg::Typed(parameter) = input {
                parameters.push(Parameter::read(parameter, errors));
            }
        }
        Self { base, parameters }
    }
}

impl Parameter {
    fn read(parameter: &PatType, errors: &mut Errors) -> Self {
        let mut declaration = parameter.clone();
        let mut is_skipped = false;
        declaration.attrs.retain(|attribute| {
            if !attribute.path().is_ident("layer") {
                return true;
            }
            match attribute.parse_args::<Ident>() {
                Ok(word) if word == "skip" => is_skipped = true,
                _ => errors.at(
                    attribute,
                    "unknown option of a parameter: expected `#[layer(skip)]`, which keeps it out of the layer's name",
                ),
            }
            false
        });
        let shown = match &*declaration.pat {
            Pat::Ident(pattern) if !is_skipped && !pattern.ident.to_string().starts_with('_') => {
                Some(pattern.ident.clone())
            }
            _ => None,
        };
        Self {
            declaration,
            shown,
            is_skipped,
        }
    }

    fn name(&self) -> Option<&Ident> {
        match &*self.declaration.pat {
            Pat::Ident(pattern) => Some(&pattern.ident),
            _ => None,
        }
    }
}

/// Checks that the format string of the name shows nothing that is to stay out of it.
pub(super) fn check_name(name: &LitStr, parameters: &[Parameter], errors: &mut Errors) {
    for shown in placeholders(&name.value()) {
        if shown.is_empty() || shown.starts_with(|first: char| first.is_ascii_digit()) {
            errors.at(
                name,
                "the name of a layer has no positional arguments: write the parameter in the braces, `{packages:?}`",
            );
        }
        let is_skipped = |parameter: &Parameter| {
            parameter.is_skipped && parameter.name().is_some_and(|name| name == &shown)
        };
        if parameters.iter().any(is_skipped) {
            errors.at(
                name,
                format!("the name shows `{shown}`, which `#[layer(skip)]` keeps out of it: remove one of the two"),
            );
        }
    }
}

/// What stands in the braces of a format string, before a colon.
fn placeholders(format: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = format;
    while let Some((_, behind)) = rest.split_once('{') {
        if let Some(literal) = behind.strip_prefix('{') {
            rest = literal;
            continue;
        }
        let (inside, behind) = behind.split_once('}').unwrap_or((behind, ""));
        let name = inside.split(':').next().unwrap_or_default();
        found.push(name.trim().to_owned());
        rest = behind;
    }
    found
}

fn refuse_qualifiers(function: &ItemFn, errors: &mut Errors) {
    let signature = &function.sig;
    if let Some(token) = &signature.asyncness {
        errors.at(
            token,
            "a layer cannot be `async`: building a graph waits for nothing; await before, and pass what came of it",
        );
    }
    if let Some(token) = &signature.constness {
        errors.at(
            token,
            "a layer cannot be `const`: states are made at run time",
        );
    }
    if let Some(token) = &signature.unsafety {
        errors.at(
            token,
            "a layer cannot be `unsafe`: it is called by `State::layer`",
        );
    }
    if let Some(abi) = &signature.abi {
        errors.at(abi, "a layer is a plain Rust function: remove the ABI");
    }
    if let Some(variadic) = &signature.variadic {
        errors.at(variadic, "a layer cannot be variadic: take a slice");
    }
}

fn is_state(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "State"),
        Type::Group(group) => is_state(&group.elem),
        Type::Paren(paren) => is_state(&paren.elem),
        _ => false,
    }
}

fn is_reference_to_state(ty: &Type) -> bool {
    matches!(ty, Type::Reference(reference) if is_state(&reference.elem))
}

/// A type as the user most likely wrote it.
fn source_text(tokens: &impl ToTokens) -> String {
    tokens
        .to_token_stream()
        .to_string()
        .replace("& ", "&")
        .replace(" < ", "<")
        .replace(" >", ">")
        .replace(" :: ", "::")
        .replace(" ,", ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_those_of_format() {
        assert_eq!(
            placeholders("apt: {packages:?}, {{no}} { x } {}"),
            ["packages", "x", ""]
        );
        assert!(placeholders("plain {{").is_empty());
    }

    #[test]
    fn types_are_quoted_as_written() {
        let ty: Type = syn::parse_quote!(&[Vec<std::string::String>]);
        assert_eq!(source_text(&ty), "&[Vec<std::string::String>]");
    }
}
