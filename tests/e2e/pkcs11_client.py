# SPDX-License-Identifier: Apache-2.0
"""A PKCS #11 client in Python, by ctypes: as many of them in a test as it takes, each with a connection of its own."""

import ctypes
import os

CLIENT_PATHS = ("/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so", "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
                "/usr/lib/arm-linux-gnueabihf/pkcs11/p11-kit-client.so", "/usr/lib64/pkcs11/p11-kit-client.so")

# The order of CK_FUNCTION_LIST.
FUNCTIONS = """Initialize Finalize GetInfo GetFunctionList GetSlotList GetSlotInfo GetTokenInfo GetMechanismList GetMechanismInfo
InitToken InitPIN SetPIN OpenSession CloseSession CloseAllSessions GetSessionInfo GetOperationState SetOperationState Login Logout
CreateObject CopyObject DestroyObject GetObjectSize GetAttributeValue SetAttributeValue FindObjectsInit FindObjects
FindObjectsFinal EncryptInit Encrypt EncryptUpdate EncryptFinal DecryptInit Decrypt DecryptUpdate DecryptFinal DigestInit Digest
DigestUpdate DigestKey DigestFinal SignInit Sign SignUpdate SignFinal SignRecoverInit SignRecover VerifyInit Verify VerifyUpdate
VerifyFinal VerifyRecoverInit VerifyRecover DigestEncryptUpdate DecryptDigestUpdate SignEncryptUpdate DecryptVerifyUpdate
GenerateKey GenerateKeyPair WrapKey UnwrapKey DeriveKey SeedRandom GenerateRandom GetFunctionStatus CancelFunction
WaitForSlotEvent""".split()

CKA = {"class": 0x0, "token": 0x1, "private": 0x2, "label": 0x3, "value": 0x11, "id": 0x102, "sign": 0x108, "ec_params": 0x180}
CKO = {"data": 0, "cert": 1, "public": 2, "private": 3, "secret": 4}
CKR = {"OK": 0, "HOST_MEMORY": 2, "SLOT_ID_INVALID": 3, "GENERAL_ERROR": 5, "DEVICE_ERROR": 0x30, "DEVICE_MEMORY": 0x31,
       "FUNCTION_NOT_SUPPORTED": 0x54, "KEY_HANDLE_INVALID": 0x60, "MECHANISM_PARAM_INVALID": 0x71, "OBJECT_HANDLE_INVALID": 0x82,
       "OPERATION_NOT_INITIALIZED": 0x91, "PIN_INCORRECT": 0xa0, "SESSION_COUNT": 0xb1, "SESSION_HANDLE_INVALID": 0xb3,
       "USER_ANOTHER_ALREADY_LOGGED_IN": 0x104, "CRYPTOKI_NOT_INITIALIZED": 0x190, "FUNCTION_REJECTED": 0x200}
CKF_RW_SESSION, CKF_SERIAL_SESSION, CKF_LOGIN_REQUIRED = 2, 4, 4
CKM_ECDSA, CKM_EC_KEY_PAIR_GEN, CKM_ECDH1_DERIVE = 0x1041, 0x1040, 0x1050
CKU_SO, CKU_USER = 0, 1
P256 = bytes.fromhex("06082a8648ce3d030107")
Ulong = ctypes.c_ulong


class Attribute(ctypes.Structure):
    _fields_ = [("type", Ulong), ("value", ctypes.c_void_p), ("len", Ulong)]


class Mechanism(ctypes.Structure):
    _fields_ = [("mechanism", Ulong), ("parameter", ctypes.c_void_p), ("len", Ulong)]


class TokenInfo(ctypes.Structure):
    _fields_ = [("label", ctypes.c_char * 32), ("manufacturer", ctypes.c_char * 32), ("model", ctypes.c_char * 16),
                ("serial", ctypes.c_char * 16), ("flags", Ulong), ("rest", ctypes.c_byte * 256)]


class Refused(Exception):
    def __init__(self, function, rv):
        self.name = next((name for name, value in CKR.items() if value == rv), hex(rv))
        super().__init__(f"C_{function}: {self.name}")


def client_path():
    return next((path for path in CLIENT_PATHS if os.path.exists(path)), None)


def encoded(value):
    """bool: a CK_BBOOL; int: a CK_ULONG; bytes: themselves."""
    return bytes([value]) if isinstance(value, bool) else bytes(Ulong(value)) if isinstance(value, int) else value


def template(**attributes):
    """An array of attributes, how many there are, and what they point at."""
    values = [ctypes.create_string_buffer(encoded(value), len(encoded(value))) for value in attributes.values()]
    array = (Attribute * max(1, len(values)))()
    for place, name, value in zip(array, attributes, values):
        place.type, place.value, place.len = CKA[name], ctypes.cast(value, ctypes.c_void_p), len(value)
    return array, len(values), values


class Client:
    """One PKCS #11 application. A call that does not answer CKR_OK raises Refused."""

    def __init__(self, socket, initialize=True):
        os.environ["P11_KIT_SERVER_ADDRESS"] = f"unix:path={socket}"
        self.load(client_path())
        del os.environ["P11_KIT_SERVER_ADDRESS"]
        if initialize:
            self.call("Initialize", None)

    def load(self, path):
        library, pointer = ctypes.CDLL(path), ctypes.c_void_p()
        assert library.C_GetFunctionList(ctypes.byref(pointer)) == 0
        words = ctypes.cast(pointer.value, ctypes.POINTER(ctypes.c_void_p))
        self.functions = {name: ctypes.CFUNCTYPE(Ulong)(words[i + 1]) for i, name in enumerate(FUNCTIONS)}

    def call(self, name, *args):
        rv = self.functions[name](*[Ulong(arg) if isinstance(arg, int) else arg for arg in args])
        if rv:
            raise Refused(name, rv)

    def slots(self):
        count, slots = Ulong(64), (Ulong * 64)()
        self.call("GetSlotList", 1, slots, ctypes.byref(count))
        return list(slots[:count.value])

    def token_info(self, slot):
        info = TokenInfo()
        self.call("GetTokenInfo", slot, ctypes.byref(info))
        return info

    def slot_of(self, label):
        return next(slot for slot in self.slots() if self.token_info(slot).label.decode().rstrip() == label)

    def open(self, label="device", flags=CKF_RW_SESSION):
        return self.open_slot(self.slot_of(label), flags)

    def open_slot(self, slot, flags=0):
        session = Ulong()
        self.call("OpenSession", slot, flags | CKF_SERIAL_SESSION, None, None, ctypes.byref(session))
        return session.value

    def find(self, session, **attributes):
        array, count, values = template(**attributes)
        self.call("FindObjectsInit", session, array, count)
        found, n = (Ulong * 256)(), Ulong()
        self.call("FindObjects", session, found, 256, ctypes.byref(n))
        self.call("FindObjectsFinal", session)
        return list(found[:n.value])

    def key(self, session, label):
        keys = self.find(session, **{"class": CKO["private"], "label": label.encode()})
        assert len(keys) == 1, keys
        return keys[0]

    def get(self, session, handle, name, size=256):
        room = ctypes.create_string_buffer(size)
        attribute = Attribute(CKA[name], ctypes.cast(room, ctypes.c_void_p), size)
        self.call("GetAttributeValue", session, handle, ctypes.byref(attribute), 1)
        return room.raw[:attribute.len]

    def sign_init(self, session, key, mechanism=CKM_ECDSA, parameter=b""):
        room = ctypes.create_string_buffer(parameter, len(parameter)) if parameter else None
        self.call("SignInit", session, ctypes.byref(Mechanism(mechanism, ctypes.cast(room, ctypes.c_void_p), len(parameter))), key)

    def sign_finish(self, session, digest=bytes(32)):
        signature, size = ctypes.create_string_buffer(512), Ulong(512)
        self.call("Sign", session, digest, len(digest), signature, ctypes.byref(size))
        return signature.raw[:size.value]

    def sign(self, session, key, digest=bytes(32)):
        self.sign_init(session, key)
        return self.sign_finish(session, digest)

    def generate(self, session, label, token=True):
        public, n_public, keep = template(token=token, ec_params=P256, label=label.encode())
        private, n_private, keep_too = template(token=token, private=True, sign=True, label=label.encode())
        handles = Ulong(), Ulong()
        self.call("GenerateKeyPair", session, ctypes.byref(Mechanism(CKM_EC_KEY_PAIR_GEN, None, 0)), public, n_public, private,
                  n_private, ctypes.byref(handles[0]), ctypes.byref(handles[1]))
        return handles[0].value, handles[1].value

    def finalize(self):
        self.call("Finalize", None)
