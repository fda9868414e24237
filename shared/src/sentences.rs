//! Stable codes, each with the sentence that says it to people.

/// Makes an enum of codes. A code's name and its sentence stand together, so that none has only one of them; as JSON a code is
/// its name.
macro_rules! sentences {
    ($(#[doc = $doc:literal])+ $name:ident: $($code:ident = $text:literal, $sentence:literal;)+) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = $sentence] $code,)+
        }

        impl $name {
            /// Each of them, in the order in which they are told.
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// The stable code.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $text,)+
                }
            }

            /// The sentence.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$code => $sentence,)+
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let names: Vec<&str> = Self::ALL.iter().map(|code| code.name()).collect();
                schemars::json_schema!({"type": "string", "enum": names})
            }
        }
    };
}

pub(crate) use sentences;
