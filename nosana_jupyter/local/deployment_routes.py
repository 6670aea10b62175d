"""
The HTTP routes of the deployment manager, as the official client asks them.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from solders.keypair import Keypair

from ..chain import authorization
from .deployment_book import Deployment, Listed
from .deployment_requests import Asked, moment, number, text
from .deployments import Deployments
from .guard import Guarded
from .poster import Denied

ROTATION = 20
"""Minutes before the end of a job at which another is listed, if nobody says."""


CHANGES = {
    "replica-count": "replicas", "timeout": "timeout", "schedule": "schedule", "name": "name",
    "active-revision": "active_revision",
}  # fmt: skip
"""Fields of a deployment, by what the routes that change them are called."""


class All(Asked):
    """`GET /deployments`."""

    def get(self) -> None:
        """List those of who asks."""
        wanted = {
            name: self.get_query_argument(name, "").split(",")
            for name in ("id", "name", "status", "strategy", "vault")
            if self.get_query_argument(name, "")
        }
        found = [
            self.show(each)
            for each in self.manager.state.deployments.values()
            if (each.account or each.owner) == (self.account or self.owner)
        ]
        rows = [each for each in found if all(each[name] in wanted[name] for name in wanted)]
        self.pages("deployments", rows)


class Create(Asked):
    """`POST /deployments/create`."""

    def post(self) -> None:
        """Make a deployment, which does not run yet."""
        asked = self.body()
        made = self.reply(lambda: self._made(asked))
        if made is not None:
            if asked.get("autostart") is True:
                self.manager.start(made)
            self.finish(self.show(made))

    def _made(self, asked: dict[str, Any]) -> Deployment:
        manager = self.manager
        strategy = text(asked, "strategy")
        infinite = strategy == "INFINITE"
        made = Deployment(
            id=str(Keypair().pubkey()), name=text(asked, "name"), owner=self.owner,
            account=self.account, vault=self._vault(asked), market=text(asked, "market"),
            strategy=strategy, replicas=number(asked, "replicas"),
            timeout=number(asked, "timeout"),
            rotation_time=number(asked, "rotation_time", ROTATION) if infinite else 0,
            schedule=text(asked, "schedule") if "schedule" in asked else "",
            confidential=asked.get("confidential", True) is True,
            created=time.time(), updated=time.time(),
        )  # fmt: skip
        return manager.add(made, asked.get("job_definition"))

    def _vault(self, asked: dict[str, Any]) -> str:
        if self.account:
            return self.owner
        if "vault" not in asked:
            return self.manager.create_vault(self.owner)
        found = self.manager.state.vaults.get(text(asked, "vault"))
        if found is None or found.owner != self.owner:
            raise Denied(404, "Vault not found")
        return str(asked["vault"])


class One(Asked):
    """`GET` and `DELETE /deployments/<id>`."""

    def get(self, ident: str) -> None:
        """Show it."""
        self.finish(self.show(self.mine(ident)))

    def delete(self, ident: str) -> None:
        """Forget it; its vault stays."""
        made = self.mine(ident)
        if made.status not in ("STOPPED", "ARCHIVED", "DRAFT"):
            self.fail(400, f"Deployment is {made.status}")
        del self.manager.state.deployments[ident]
        self.manager.book.save()
        self.finish({})


class Act(Asked):
    """`POST /deployments/<id>/start`, `stop` and `archive`."""

    def post(self, ident: str, what: str) -> None:
        """Do it."""
        made = self.mine(ident)
        if what == "archive":
            if made.status != "STOPPED":
                self.fail(400, f"Deployment is {made.status}")
            made.become("ARCHIVED")
        else:
            act = self.manager.start if what == "start" else self.manager.stop
            self.reply(lambda: act(made))
        if not self._finished:
            self.finish({"status": made.status, "updated_at": moment(made.updated)})


class Change(Asked):
    """`PATCH /deployments/<id>/update-…`."""

    def patch(self, ident: str, what: str) -> None:
        """Change it; what it was stays where it cannot be so."""
        made = self.mine(ident)
        name = CHANGES[what]
        asked, was = self.body(), getattr(made, name)

        def change() -> bool:
            given = text(asked, name) if isinstance(was, str) else number(asked, name)
            setattr(made, name, given)
            try:
                if not any(each.revision == made.active_revision for each in made.revisions):
                    raise Denied(404, "Revision not found")
                self.manager.check(made)
            except Denied:
                setattr(made, name, was)
                raise
            made.updated = time.time()
            made.tell("DEPLOYMENT_UPDATED", f"{name} is {given}", category="Deployment")
            self.manager.book.save()
            return True

        if self.reply(change):
            self.finish(self.show(made))


class Revise(Asked):
    """`POST /deployments/<id>/create-revision`: the body is the definition."""

    def post(self, ident: str) -> None:
        """Add a revision, which the next jobs run."""
        made, definition = self.mine(ident), self.body()

        def revise() -> bool:
            self.manager.revise(made, definition)
            self.manager.book.save()
            return True

        if self.reply(revise):
            shown = self.show(made)
            names = ("active_revision", "endpoints", "updated_at")
            revisions = [each.revision for each in made.revisions]
            self.finish({**{each: shown[each] for each in names}, "revisions": revisions})


class Lists(Asked):
    """`GET /deployments/<id>/jobs`, `revisions`, `events` and `tasks`."""

    def get(self, ident: str, what: str) -> None:
        """Answer a page."""
        made = self.mine(ident)
        rows: list[dict[str, Any]] = []
        if what == "jobs":
            states = self.get_query_argument("state", "").split(",")
            rows = [
                _job(made, each) for each in made.jobs if states == [""] or each.state in states
            ]
        elif what == "revisions":
            rows = [
                {
                    "revision": each.revision, "deployment": made.id,
                    "ipfs_definition_hash": each.cid, "job_definition": each.definition,
                    "created_at": moment(each.created),
                }
                for each in made.revisions
            ]  # fmt: skip
        elif what == "events":
            rows = [
                {
                    "category": each.category, "deploymentId": made.id, "type": each.type,
                    "message": each.message, "created_at": moment(each.created),
                    **({"tx": each.tx} if each.tx else {}),
                }
                for each in made.events
            ]  # fmt: skip
        self.pages(what, rows)


class OneJob(Asked):
    """`GET /deployments/<id>/jobs/<job>`."""

    def get(self, ident: str, job: str) -> None:
        """Show a job and its definition."""
        made = self.mine(ident)
        found = next((each for each in made.jobs if each.job == job), None)
        if found is None:
            self.fail(404, "Job not found")
        numbers = {"QUEUED": 0, "RUNNING": 1, "COMPLETED": 2, "STOPPED": 3}
        revision = next(each for each in made.revisions if each.revision == found.revision)
        self.finish(
            {
                "confidential": made.confidential, "revision": found.revision,
                "market": found.market, "node": found.node, "state": numbers[found.state],
                "jobStatus": None, "jobDefinition": revision.definition, "jobResult": None,
                "timeStart": int(found.began), "listedAt": int(found.created),
                "timeEnd": 0 if found.state in ("QUEUED", "RUNNING") else int(found.updated),
            }
        )  # fmt: skip


class Header(Asked):
    """`GET /deployments/<id>/header`: signed by who its jobs belong to."""

    def get(self, ident: str) -> None:
        """Sign a message for the hosts of its jobs."""
        made = self.mine(ident)
        message = self.get_query_argument("message", "DEPLOYMENT_HEADER")
        timed = self.get_query_argument("includeTime", "") == "true"
        custody = self.manager.custody
        wallet = custody.wallet if made.account else self.manager.wallet(made.vault)
        try:
            self.finish({"header": authorization.authorize(wallet, message, include_time=timed)})
        except ValueError:
            self.fail(400, "this cannot be signed")


class Vaults(Asked):
    """`GET /deployments/vaults`, `POST …/vaults/create` and `…/vaults/<vault>/withdraw`."""

    def prepare(self) -> None:
        """Serve wallets alone: an account pays with credits."""
        super().prepare()
        if self.account:
            self.fail(403, "vaults belong to wallets")

    def get(self) -> None:
        """List those of who asks."""
        rows = [self._row(each) for each in self.manager.state.vaults if self._owns(each)]
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(rows))

    def post(self, vault: str | None = None) -> None:
        """Make one, or give back what is in one."""
        if vault is None:
            self.finish(self._row(self.manager.create_vault(self.owner)))
            return
        if not self._owns(vault):
            self.fail(404, "Vault not found")
        given = self.reply(lambda: self.manager.withdrawal(vault))
        if given is not None:
            self.finish({"transaction": base64.b64encode(given).decode()})

    def _owns(self, vault: str) -> bool:
        found = self.manager.state.vaults.get(vault)
        return found is not None and found.owner == self.owner

    def _row(self, vault: str) -> dict[str, str]:
        found = self.manager.state.vaults[vault]
        return {"vault": vault, "owner": found.owner, "created_at": moment(found.created)}


def _job(made: Deployment, job: Listed) -> dict[str, Any]:
    return {
        "tx": job.tx, "job": job.job, "deployment": made.id, "market": job.market,
        "revision": job.revision, "state": job.state, "time_start": int(job.began),
        "created_at": moment(job.created), "updated_at": moment(job.updated),
    }  # fmt: skip


def routes(manager: Deployments, url: str) -> list[tuple[str, type[Guarded], dict[str, Any]]]:
    """
    Return the routes.

    Args:
        manager: What does it.
        url: Address of a service, with `{id}` where its name goes.
    """
    given = {"manager": manager, "url": url}
    at = r"(?:/api)?/deployments"
    return [
        (rf"{at}/?", All, given),
        (rf"{at}/create/?", Create, given),
        (rf"{at}/vaults/?", Vaults, given),
        (rf"{at}/vaults/create/?", Vaults, given),
        (rf"{at}/vaults/(\w+)/withdraw/?", Vaults, given),
        (rf"{at}/(\w+)/?", One, given),
        (rf"{at}/(\w+)/(start|stop|archive)/?", Act, given),
        (rf"{at}/(\w+)/create-revision/?", Revise, given),
        (rf"{at}/(\w+)/update-({'|'.join(CHANGES)})/?", Change, given),
        (rf"{at}/(\w+)/(jobs|revisions|events|tasks)/?", Lists, given),
        (rf"{at}/(\w+)/jobs/(\w+)/?", OneJob, given),
        (rf"{at}/(\w+)/header/?", Header, given),
    ]
