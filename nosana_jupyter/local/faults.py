"""
The errors of the Nosana programs and of Anchor, with the lines they log.

Numbers overlap between the sets: only the logged name tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from solders.pubkey import Pubkey

from .invocation import Failure


@dataclass(frozen=True, slots=True)
class Fault:
    """One error a program may raise."""

    name: str
    number: int
    text: str

    def at(self, slot: str, *sides: Pubkey) -> Failure:
        """
        Return the failure of a constraint on an account.

        Args:
            slot: Name of the account in the instruction.
            sides: The two keys that should have been equal, where it compares keys.
        """
        lines = [f"AnchorError caused by account: {slot}. {self._tail()}"]
        if sides:
            left, right = sides
            lines += ["Left:", str(left), "Right:", str(right)]
        return self._failure(lines)

    def thrown(self, place: str, *sides: int) -> Failure:
        """
        Return the failure of the body of an instruction.

        Args:
            place: Name of the instruction.
            sides: The two numbers that do not fit, where it compares numbers.
        """
        line = f"AnchorError thrown in programs/nosana/src/instructions/{place}.rs:1."
        lines = [f"{line} {self._tail()}"]
        if sides:
            left, right = sides
            lines += [f"Left: {left}", f"Right: {right}"]
        return self._failure(lines)

    def occurred(self) -> Failure:
        """Return the failure of the instruction as a whole."""
        return self._failure([f"AnchorError occurred. {self._tail()}"])

    def _tail(self) -> str:
        return f"Error Code: {self.name}. Error Number: {self.number}. Error Message: {self.text}."

    def _failure(self, lines: list[str]) -> Failure:
        return Failure({"Custom": self.number}, *(f"Program log: {line}" for line in lines))


def unpacked(slot: str, *, uninitialized: bool) -> Failure:
    """Return the failure of reading a token account or a mint from what is none."""
    name, number, text = "InvalidAccountData", 4, "An account's data contents was invalid"
    if uninitialized:
        name, number = "UninitializedAccount", 10
        text = "An attempt to operate on an account that hasn't been initialized"
    line = f"ProgramError caused by account: {slot}. Error Code: {name}."
    line += f" Error Number: {number << 32}. Error Message: {text}."
    return Failure(name, f"Program log: {line}")


# Anchor

UNKNOWN_INSTRUCTION = Fault(
    "InstructionFallbackNotFound", 101, "Fallback functions are not supported"
)
BAD_ARGUMENTS = Fault(
    "InstructionDidNotDeserialize", 102, "The program could not deserialize the given instruction"
)
MUT = Fault("ConstraintMut", 2000, "A mut constraint was violated")
SEEDS = Fault("ConstraintSeeds", 2006, "A seeds constraint was violated")
CLOSE = Fault("ConstraintClose", 2011, "A close constraint was violated")
DUPLICATE = Fault(
    "ConstraintDuplicateMutableAccount", 2040, "A duplicate mutable account constraint was violated"
)
WRONG_MINT = Fault("ConstraintTokenMint", 2014, "A token mint constraint was violated")
NO_DISCRIMINATOR = Fault(
    "AccountDiscriminatorNotFound", 3001, "No discriminator was found on the account"
)
WRONG_DISCRIMINATOR = Fault(
    "AccountDiscriminatorMismatch",
    3002,
    "Account discriminator did not match what was expected",
)
UNREADABLE = Fault("AccountDidNotDeserialize", 3003, "Failed to deserialize the account")
UNWRITABLE = Fault("AccountDidNotSerialize", 3004, "Failed to serialize the account")
TOO_FEW_KEYS = Fault(
    "AccountNotEnoughKeys", 3005, "Not enough account keys given to the instruction"
)
WRONG_OWNER = Fault(
    "AccountOwnedByWrongProgram",
    3007,
    "The given account is owned by a different program than expected",
)
WRONG_PROGRAM = Fault("InvalidProgramId", 3008, "Program ID was not as expected")
NOT_SIGNER = Fault("AccountNotSigner", 3010, "The given account did not sign")
NOT_INITIALIZED = Fault(
    "AccountNotInitialized", 3012, "The program expected this account to be already initialized"
)
WRONG_SYSVAR = Fault(
    "AccountSysvarMismatch", 3015, "The given public key does not match the required sysvar"
)

# Shared by all Nosana programs

UNAUTHORIZED = Fault("Unauthorized", 6000, "This account is not authorized to perform this action.")
INVALID_OWNER = Fault("InvalidOwner", 6001, "This account is owned by an invalid program.")
LAMPORTS_NON_NULL = Fault("LamportsNonNull", 6002, "This account has lamports.")
MISSING_SIGNATURE = Fault("MissingSignature", 6003, "This account is missing a signature.")
INVALID_ACCOUNT = Fault("InvalidAccount", 6004, "This account is not valid.")
INVALID_TOKEN_ACCOUNT = Fault("InvalidTokenAccount", 6005, "This token account is not valid.")
INVALID_MINT = Fault("InvalidMint", 6006, "This mint is invalid.")
INVALID_VAULT = Fault("InvalidVault", 6007, "This account has an invalid vault.")
INVALID_PAYER = Fault("InvalidPayer", 6008, "This payer account is not valid.")
VAULT_EMPTY = Fault("VaultEmpty", 6009, "This vault is empty.")
VAULT_NOT_EMPTY = Fault("VaultNotEmpty", 6010, "This vault is not empty.")
INVALID_ATA = Fault("InvalidATA", 6011, "This Associated Token Account is not valid.")

# Jobs

INVALID_MARKET = Fault("InvalidMarketAccount", 6000, "This market account is not valid.")
MARKET_IN_WRONG_STATE = Fault(
    "MarketInWrongState", 6001, "This market does not have the right status."
)
NOT_IN_QUEUE = Fault("NotInMarketQueue", 6002, "Account cannot be find account in market queue.")
INVALID_JOB = Fault("InvalidJobAccount", 6003, "This job account is not valid.")
JOB_IN_WRONG_STATE = Fault("JobInWrongState", 6004, "This job does not have the right status.")
JOB_NOT_EXPIRED = Fault("JobNotExpired", 6005, "The job has not yet expired.")
RESULT_NULL = Fault("JobResultNull", 6006, "The job result can not be null.")
TIMEOUT_NOT_GREATER = Fault(
    "JobTimeoutNotGreater", 6008, "The new job timeout should be larger than the current one."
)
RESULT_ALREADY_SET = Fault("JobResultsAlreadySet", 6010, "The job results are already set.")
NOT_ENOUGH_STAKE = Fault("NodeNotEnoughStake", 6013, "This node has not staked enough tokens.")
ALREADY_QUEUED = Fault("NodeAlreadyQueued", 6014, "This node is already present in the queue.")
NFT_WRONG_OWNER = Fault("NodeNftWrongOwner", 6016, "This NFT is not owned by this node.")
NFT_INVALID_AMOUNT = Fault("NodeNftInvalidAmount", 6017, "Access NFT amount cannot be 0.")
INVALID_COLLECTION = Fault(
    "NodeKeyInvalidCollection",
    6018,
    "This access key does not belong to a verified collection.",
)

# Staking

AMOUNT_NOT_ENOUGH = Fault("AmountNotEnough", 6000, "This amount is not enough.")
ALREADY_INITIALIZED = Fault("AlreadyInitialized", 6001, "This stake is already running.")
ALREADY_STAKED = Fault("AlreadyStaked", 6003, "This stake is already staked.")
ALREADY_UNSTAKED = Fault("AlreadyUnstaked", 6004, "This stake is already unstaked.")
NOT_UNSTAKED = Fault("NotUnstaked", 6005, "This stake is not yet unstaked.")
LOCKED = Fault("Locked", 6006, "This stake is still locked.")
DURATION_TOO_SHORT = Fault("DurationTooShort", 6007, "This stake duration is not long enough.")
DURATION_TOO_LONG = Fault("DurationTooLong", 6008, "This stake duration is too long.")
DECREASED = Fault("Decreased", 6010, "This stake is not allowed to decrease.")
HAS_REWARD = Fault("HasReward", 6011, "This stake still has a reward account.")
INVALID_STAKE = Fault("InvalidStakeAccount", 6012, "This stake does not belong to the authority.")
