//! One graph for several platforms.

use std::panic::Location;

use super::State;
use crate::constraints::Constrain as _;
use crate::definition::{Definition, MarshalOptions};
use crate::error::{Error, ErrorKind, Problem};
use crate::layer::{self, Outcome};
use crate::value::platform::Platform;

/// A state for each of several platforms: what a multi-platform image is made of.
///
/// Made by [`State::on_platforms`], or collected from pairs. [`marshal`](Self::marshal) gives the definitions, each for
/// its own platform.
///
/// ```
/// use llb::prelude::*;
/// use llb::{Platforms, platform};
///
/// let server: Platforms = [platform!("linux/amd64"), platform!("linux/arm64")]
///     .into_iter()
///     .map(|platform| (platform, image("debian").run(sh("make"))))
///     .collect();
/// assert_eq!(server.marshal(&MarshalOptions::linux_amd64())?.len(), 2);
/// # Ok::<(), llb::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "states for platforms have no effect until they are built"]
pub struct Platforms(Vec<(Platform, State)>);

/// # Platforms
impl State {
    /// This state for several platforms, with what a function makes of it for each.
    ///
    /// The function is a [layer](crate::Layer) that is told its platform. A state without a platform of its own runs on
    /// the one that it is marshalled for, so most functions ignore it:
    ///
    /// ```
    /// use llb::platform;
    /// use llb::prelude::*;
    ///
    /// #[layer]
    /// fn apt(base: State, packages: &[&str]) -> State {
    ///     base.run(args(["apt-get", "install", "-y"].iter().chain(packages).copied()))
    /// }
    /// let platforms = [platform!("linux/amd64"), platform!("linux/arm64")];
    /// let images = image("debian")
    ///     .on_platforms(platforms, |base, _| base.layer(apt(&["git"])))
    ///     .map(|base, platform| base.env("ARCHITECTURE", &platform.architecture));
    /// let names: Vec<_> = images.iter().map(|(platform, _)| platform.to_string()).collect();
    /// assert_eq!(names, ["linux/amd64", "linux/arm64"]);
    /// assert_eq!(images.get(&platform!("linux/arm64")).unwrap().image_config().env["ARCHITECTURE"], "arm64");
    /// ```
    #[track_caller]
    pub fn on_platforms<R: Outcome>(
        &self,
        platforms: impl IntoIterator<Item = Platform>,
        layer: impl FnMut(Self, &Platform) -> R,
    ) -> Platforms {
        let platforms = platforms.into_iter();
        let states: Platforms = platforms.map(|platform| (platform, self.clone())).collect();
        states.map(layer)
    }
}

impl Platforms {
    /// The same platforms, with what a function makes of their states.
    #[track_caller]
    pub fn map<R: Outcome>(mut self, mut layer: impl FnMut(State, &Platform) -> R) -> Self {
        let location = Location::caller();
        for (platform, state) in &mut self.0 {
            let platform = &*platform;
            *state = layer::put(|base: State| layer(base, platform), state, location);
        }
        self
    }

    /// The platforms with their states, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Platform, &State)> {
        self.0.iter().map(|(platform, state)| (platform, state))
    }

    /// The state for a platform; `linux/arm64` and `linux/arm64/v8` are one.
    pub fn get(&self, platform: &Platform) -> Option<&State> {
        let wanted = platform.clone().normalized();
        let mut states = self.iter();
        states.find_map(|(platform, state)| {
            (platform.clone().normalized() == wanted).then_some(state)
        })
    }

    /// The definition of each platform, with the options but for the platform.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of the graphs, and a platform that is there twice.
    pub fn marshal(&self, options: &MarshalOptions) -> Result<Vec<(Platform, Definition)>, Error> {
        let mut definitions: Vec<(Platform, Definition)> = Vec::with_capacity(self.0.len());
        let mut problems = Vec::new();
        for (position, (platform, state)) in self.iter().enumerate() {
            let is_known = |(known, _): &(Platform, State)| {
                known.clone().normalized() == platform.clone().normalized()
            };
            if self.0[..position].iter().any(is_known) {
                let message = format!("the platform {platform} is there twice");
                problems.push(Problem::without_location(ErrorKind::Merge, message));
            }
            match state.marshal(&options.clone().platform(platform.clone())) {
                Ok(definition) => definitions.push((platform.clone(), definition)),
                Err(error) => problems.extend(error.problems().iter().cloned()),
            }
        }
        if problems.is_empty() {
            Ok(definitions)
        } else {
            Err(Error::new(problems))
        }
    }
}

impl FromIterator<(Platform, State)> for Platforms {
    fn from_iter<I: IntoIterator<Item = (Platform, State)>>(states: I) -> Self {
        Self(states.into_iter().collect())
    }
}

impl IntoIterator for Platforms {
    type Item = (Platform, State);
    type IntoIter = std::vec::IntoIter<(Platform, State)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
