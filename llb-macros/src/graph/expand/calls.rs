//! Writes sources, mounts and file actions with their options.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Expr, ExprLit, Ident, Lit, LitInt, LitStr};

use super::super::ast::{Action, ActionKind, Call, CallOption, Value};
use super::super::parse::literal;
use super::Expander;

/// Methods of the trait `Constrain`.
const CONSTRAIN: &[&str] = &[
    "export_cache",
    "ignore_cache",
    "local_unique_id",
    "location",
    "memory_limit",
    "name",
    "platform",
    "progress_group",
    "require",
];

impl Expander<'_> {
    /// Notes that a method is called, which may need its trait.
    pub(super) fn method(&mut self, name: &Ident) {
        self.uses_constrain |= CONSTRAIN.iter().any(|method| name == method);
    }

    /// Code of the type `State`.
    pub(super) fn state_of(&mut self, value: &Value) -> TokenStream {
        let code = self.source(value);
        match value {
            Value::Scratch(_) => code,
            Value::Call(call) if call.function == "image" && call.options.is_empty() => code,
            Value::Call(call) => quote_spanned!(call.function.span()=> ::llb::State::from(#code)),
            Value::Rust(_) => quote!(::llb::State::from(#code)),
        }
    }

    /// Code that can become a state.
    fn source(&mut self, value: &Value) -> TokenStream {
        let call = match value {
            Value::Rust(expression) => return expression.to_token_stream(),
            Value::Scratch(word) => return quote_spanned!(word.span()=> ::llb::scratch()),
            Value::Call(call) => call,
        };
        let function = &call.function;
        let span = function.span();
        let arguments = call.arguments.iter().map(|argument| match argument {
            Value::Rust(expression) => match literal(expression) {
                Some(text) if function == "image" => {
                    quote_spanned!(text.span()=> ::llb::image!(#text))
                }
                _ => expression.to_token_stream(),
            },
            other => self.source(other),
        });
        let arguments: Vec<_> = arguments.collect();
        let options = self.options(&call.options);
        if function == "image" && !call.options.is_empty() {
            return quote_spanned!(span=> ::llb::Image::new(#(#arguments),*)#options);
        }
        quote_spanned!(span=> ::llb::#function(#(#arguments),*)#options)
    }

    fn options(&mut self, options: &[CallOption]) -> TokenStream {
        options
            .iter()
            .map(|option| {
                self.method(&option.key);
                let (key, value) = (&option.key, option.value.as_ref());
                quote!(.#key(#value))
            })
            .collect()
    }

    /// The method of an exec that mounts what a call describes.
    pub(super) fn mount(&mut self, call: &Call) -> TokenStream {
        let function = &call.function;
        let span = function.span();
        let mut arguments = Vec::new();
        for argument in &call.arguments {
            arguments.push(self.source(argument));
        }
        let names_a_path =
            !call.options.iter().any(|option| option.key == "as_env") && function != "device";
        if let (true, Some(Value::Rust(target))) = (names_a_path, call.arguments.first())
            && let Some(target) = literal(target)
        {
            self.require_absolute(target);
        }
        if function == "output" {
            let source = call.options.first().map_or_else(
                || quote_spanned!(span=> ::llb::scratch()),
                |source| source.value.to_token_stream(),
            );
            return quote_spanned!(span=> .output(#(#arguments),*, #source));
        }
        let mut options = TokenStream::new();
        for option in &call.options {
            let sharing = match (function == "cache", option.key.to_string().as_str()) {
                (true, "locked") => "Locked",
                (true, "private") => "Private",
                (true, "shared") => "Shared",
                _ => {
                    options.extend(self.options(std::slice::from_ref(option)));
                    continue;
                }
            };
            let sharing = Ident::new(sharing, option.key.span());
            options.extend(quote!(.sharing(::llb::Sharing::#sharing)));
        }
        let method = Ident::new(
            if function == "device" {
                "device"
            } else {
                "mount"
            },
            span,
        );
        quote_spanned!(span=> .#method(::llb::#function(#(#arguments),*)#options))
    }

    /// The method of a state that carries one action out.
    pub(super) fn action(&mut self, action: &Action) -> TokenStream {
        let span = action.word.span();
        let is_plain = action
            .options
            .iter()
            .all(|option| option.key == "mode" && !matches!(action.kind, ActionKind::Copy { .. }));
        if is_plain {
            for mode in action
                .options
                .iter()
                .filter_map(|option| option.value.as_ref())
            {
                self.require_octal(mode);
            }
            return self.call(action);
        }
        let chain = self.chain(std::slice::from_ref(action));
        quote_spanned!(span=> file(#chain))
    }

    /// The actions of one file op.
    pub(super) fn chain(&mut self, actions: &[Action]) -> TokenStream {
        let mut chain = TokenStream::new();
        for (position, action) in actions.iter().enumerate() {
            let span = action.word.span();
            let call = self.call(action);
            chain.extend(if position == 0 {
                quote_spanned!(span=> ::llb::file::#call)
            } else {
                quote_spanned!(span=> .#call)
            });
            // A copy is that of a Dockerfile, as `State::copy` is.
            if matches!(action.kind, ActionKind::Copy { .. }) {
                chain.extend(quote_spanned!(span=> .contents_only().create_destination()));
            }
            for option in &action.options {
                let is_mode = option.key == "mode";
                if let (true, Some(mode)) = (is_mode, &option.value) {
                    self.require_octal(mode);
                }
                if !is_mode || matches!(action.kind, ActionKind::Copy { .. }) {
                    chain.extend(self.options(std::slice::from_ref(option)));
                }
            }
        }
        chain
    }

    /// The call that describes an action, without its options.
    fn call(&mut self, action: &Action) -> TokenStream {
        let word = &action.word;
        let span = word.span();
        let mode = |default: &str| {
            let given = action.options.iter().find(|option| option.key == "mode");
            match given.and_then(|option| option.value.as_ref()) {
                Some(mode) => mode.to_token_stream(),
                None => LitInt::new(default, span).to_token_stream(),
            }
        };
        match &action.kind {
            ActionKind::Copy {
                from,
                source,
                destination,
            } => {
                let from = self.source(from);
                quote_spanned!(span=> #word(#from, #source, #destination))
            }
            ActionKind::Mkdir { path } => {
                let mode = mode("0o755");
                quote_spanned!(span=> #word(#path, #mode))
            }
            ActionKind::Mkfile { path, data } => {
                let mode = mode("0o644");
                quote_spanned!(span=> #word(#path, #mode, #data))
            }
            ActionKind::Symlink { new, old } => quote_spanned!(span=> #word(#old, #new)),
            ActionKind::Rm { path } => quote_spanned!(span=> #word(#path)),
        }
    }

    pub(super) fn require_absolute(&mut self, path: &LitStr) {
        if !path.value().starts_with('/') {
            let found = path.value();
            self.errors.at(
                path,
                format!("found the path {found:?}, expected an absolute one: start it with `/`"),
            );
        }
    }

    /// Permission bits that are written in decimal or hexadecimal are other permissions than they look.
    fn require_octal(&mut self, mode: &Expr) {
        let Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) = mode
        else {
            return;
        };
        let found = number.to_string();
        if !found.starts_with("0o") {
            let digits = found.trim_start_matches("0x").trim_start_matches('0');
            self.errors.at(
                number,
                format!(
                    "found the permission bits `{found}`, expected octal digits: write `0o{digits}`"
                ),
            );
        }
    }
}
