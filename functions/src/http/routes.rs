//! Routes: how a module of the API tells its handlers, to the router and to whoever describes the API.

use axum::Router;
use axum::handler::Handler;
use axum::routing::on;

use super::access::Route;
use super::openapi::Describe;

/// Takes the routes of a module. A [`Router`] serves them; the OpenAPI document is made of what their handlers take and give.
pub trait Routes<S>: Sized {
    /// Takes a handler for a row of the table of routes.
    fn on<H, T, I>(self, route: &'static Route, handler: H) -> Self
    where
        H: Handler<T, S> + Describe<I>,
        T: 'static,
        S: Clone + Send + Sync + 'static;

    /// Takes a handler for a row that is no part of the JSON API: a page, a link in a mail, a hook of one provider.
    fn beside<H, T>(self, route: &'static Route, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static;
}

impl<S> Routes<S> for Router<S> {
    fn on<H, T, I>(self, route: &'static Route, handler: H) -> Self
    where
        H: Handler<T, S> + Describe<I>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        self.route(route.path, on(route.filter(), handler))
    }
    fn beside<H, T>(self, route: &'static Route, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        self.route(route.path, on(route.filter(), handler))
    }
}
