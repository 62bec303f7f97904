"""Who is asking, what they may do, and which policy applies where they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.params import Security
from fastapi.security import APIKeyCookie, HTTPBearer

from kadr.law import rules
from kadr.law.policy import Policy
from kadr.law.rules import COUNTRIES
from kadr.service.config import LOOPBACK, SCOPES, Scope, Service
from kadr.service.keys import Key, Keyring
from kadr.service.problems import ProblemError, unavailable_for_legal_reasons
from kadr.service.sessions import Sessions

COOKIE = "kadr_session"
_BEARER = HTTPBearer(auto_error=False, description="An API key: kadr keys add")
_SESSION = APIKeyCookie(
    name=COOKIE, auto_error=False, description="The page's session, which POST /session begins."
)
LANGUAGES = ("en", "ru")


@dataclass(frozen=True)
class Visitor:
    """Who is asking: the name of their key, None without one, and what they may do.

    `is_at_home`: on this machine, where nobody needs a key; they can read its files in any case.
    """

    name: str | None
    scopes: frozenset[Scope]
    is_at_home: bool = False


class Authenticator:
    """Identifies visitors by their keys."""

    def __init__(self, service: Service, secret: bytes) -> None:
        """Take the library's secret; raises KadrError where the keys can't be read."""
        self._service = service
        self._keys = Keyring(service.keys)
        self._sessions = Sessions(self._keys, secret)
        self._keys.needed  # noqa: B018 - a key file that vanishes from now on was there

    @property
    def needs_key(self) -> bool:
        """Whether there are keys, or were."""
        return self._keys.needed

    def admit(self, request: Request) -> Visitor:
        """Who sent a request.

        Raises:
            ProblemError: 401, their key isn't valid, or they need one.
        """
        visitor = self._visitor(request)
        if not visitor.scopes:
            raise _unknown("This needs a key: Authorization: Bearer KEY (kadr keys add).")
        return visitor

    def begin_session(self, given: str) -> str:
        """The token of a session for who has this key.

        Raises:
            ProblemError: 401, the key isn't valid.
        """
        return self._sessions.begin(_valid(self._keys.find(given)))

    def end_session(self, request: Request) -> None:
        """Forget the session of a request."""
        self._sessions.end(request.cookies.get(COOKIE, ""))

    def _visitor(self, request: Request) -> Visitor:
        key: Key | None = None
        if given := _bearer(request):
            key = _valid(self._keys.find(given))
        elif token := request.cookies.get(COOKIE):
            key = self._sessions.key(token)
        if key is None:
            service = self._service
            is_open = service.anonymous is None and not self._keys.needed and not service.proxies
            return Visitor(None, self._anonymous(request), is_open and _is_local(request))
        return Visitor(key.name, frozenset(key.scopes) | self._anonymous(request))

    def _anonymous(self, request: Request) -> frozenset[Scope]:
        """What is allowed without a key."""
        service = self._service
        if service.anonymous is not None:
            return frozenset(service.anonymous)
        if self._keys.needed:
            return frozenset()
        if not service.proxies:
            return frozenset(SCOPES)
        # A proxy's own connection looks like one of this machine: the name that it was asked for
        # tells its visitors from others.
        state = request.scope["state"]
        is_public = service.trusts(state["peer"]) and state["origin"].name in service.public_names
        return frozenset({"read"}) if is_public else frozenset()


def _is_local(request: Request) -> bool:
    """Whether a request asks for this machine itself, and nobody passed it on."""
    passed_on = {"forwarded", "x-forwarded-for", "x-real-ip"} & set(request.headers.keys())
    return not passed_on and request.scope["state"]["origin"].name in LOOPBACK


def _bearer(request: Request) -> str | None:
    """The key in the header of a request."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _valid(key: Key | None) -> Key:
    if key is None:
        raise _unknown("This key isn't valid, or it was removed.")
    return key


def needs(scope: Scope) -> Any:
    """A dependency: the visitor, who must have this scope."""

    async def check(
        request: Request,
        _bearer: Annotated[Any, Security(_BEARER)] = None,
        _session: Annotated[Any, Security(_SESSION)] = None,
    ) -> Visitor:
        authenticator: Authenticator = request.app.state.authenticator
        visitor = authenticator.admit(request)
        request.scope["state"]["visitor"] = visitor.name  # for the log
        if scope in visitor.scopes:
            return visitor
        if visitor.name is None:
            raise _unknown(f"This needs a key with the scope {scope} (kadr keys add).")
        raise ProblemError(403, f"This key lacks the scope {scope}.")

    return Depends(check)


def _unknown(detail: str) -> ProblemError:
    return ProblemError(401, detail, {"WWW-Authenticate": "Bearer"})


@dataclass(frozen=True)
class RequestPolicy:
    """The policy that applies to a request, in which country and language."""

    policy: Policy
    country: str | None
    language: str
    blocked_by: str

    def blocked(self) -> Exception:
        """What to raise for what the policy hides."""
        return unavailable_for_legal_reasons(self.policy, self.language, self.blocked_by)


class PolicyResolver:
    """Finds the policy that applies to a request."""

    def __init__(self, service: Service, needs_key: Callable[[], bool] = lambda: False) -> None:
        """Raises PolicyError where the policy can't be read."""
        self._service = service
        self._needs_key = needs_key
        self._open = rules.by_country(service.policy)
        self._keyed = rules.by_country(service.keyed_policy or service.policy)

    def _of(self, country: str | None) -> Policy:
        return (self._keyed if self._needs_key() else self._open)(country)

    @property
    def strictest(self) -> Policy:
        """The policy where the country is unknown."""
        return self._of(self._service.country)

    def resolve(self, request: Request, country: str | None, language: str | None) -> RequestPolicy:
        """The policy that applies to a request."""
        resolved = self._country(request, country)
        return RequestPolicy(
            self._of(resolved),
            resolved,
            language or preferred(request.headers.get("accept-language", "")),
            self._service.blocked_by or request.scope["state"]["origin"].base_url,
        )

    def _country(self, request: Request, parameter: str | None) -> str | None:
        service = self._service
        if service.country is not None:
            return service.country.upper()
        country: str | None = None
        if service.country_header and service.trusts(request.scope["state"].get("peer")):
            values = request.headers.getlist(service.country_header)
            country = (
                values[0] if len(values) == 1 else None
            )  # the visitor's own beside the proxy's?
        elif service.country_parameter:
            country = parameter
        country = (country or "").strip().upper()
        return country if country in COUNTRIES else None


async def request_policy(
    request: Request,
    country: Annotated[
        str | None,
        Query(
            max_length=2,
            description="Where the visitor is (ISO 3166-1). Ignored unless the service was started "
            "with --country-parameter.",
            examples=["RU"],
        ),
    ] = None,
    lang: Annotated[
        str | None,
        Query(pattern="^(en|ru)$", description="Of notices. Default: by Accept-Language, then en."),
    ] = None,
) -> RequestPolicy:
    """A dependency: the policy that applies to the request."""
    policy_resolver: PolicyResolver = request.app.state.policy_resolver
    return policy_resolver.resolve(request, country, lang)


def preferred(header: str) -> str:
    """The first language of an Accept-Language header that has notices; else English."""
    for choice in header.split(","):
        code = choice.partition(";")[0].strip().lower()[:2]
        if code in LANGUAGES:
            return code
    return "en"
