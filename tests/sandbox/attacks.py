"""What a hostile script may try, as scripts. Each puts what it won into ``self.action["got"]``, or has an effect.

The targets come in the context: ``file`` (holds a secret), ``folder`` (all may write to it), ``port`` (somebody
listens), ``victim`` (a process of the same user as the workers), ``server`` (its process), ``bystander`` (another
experiment).
"""

from __future__ import annotations

from textwrap import indent

# What no import statement gives and every object graph does.
PRELUDE = """\
os = random._os
sys = os.sys
modules = sys.modules
__builtins__.update(vars(modules['builtins']))
ctypes, signal, socket, io, gc = (modules[name] for name in ('ctypes', 'signal', 'socket', 'io', 'gc'))
libc = ctypes.CDLL(None, use_errno=True)
at = self.context
def got(what):
    self.action['got'] = what
def hit(name):
    return f'echo hit > {at["folder"]}/{name}'
"""

FILES = {
    "read": "got(io.open(at['file']).read())",
    "write": (
        "fd = os.open(at['folder'] + '/written', os.O_CREAT | os.O_WRONLY)\n"
        "os.write(fd, b'hit')\n"
        "os.close(fd)\n"
        "got('written')"
    ),
    "remove": "os.unlink(at['file'])\ngot('removed')",
    "list": "got(os.listdir(at['folder']))",
    "own_memory": "io.open('/proc/self/mem', 'rb')\ngot('opened')",
    "environment_of_the_server": "got(io.open(f'/proc/{at[\"server\"]}/environ').read())",
    "chroot": "os.chroot(at['folder'])\ngot('moved')",
    "link": "os.symlink('/etc/passwd', at['folder'] + '/link')\ngot('linked')",
}
NUMPY = {
    "genfromtxt": "got(str(np.genfromtxt(at['file'], dtype=str)))",
    "loadtxt": "got(str(np.loadtxt(at['file'], dtype=str)))",
    "fromfile": "got(bytes(np.fromfile(at['file'], dtype='u1')).decode())",
    "memmap": "got(bytes(np.memmap(at['file'], mode='r')).decode())",
    "save": "np.save(at['folder'] + '/saved.npy', np.ones(3))\ngot('saved')",
    "tofile": "np.ones(3).tofile(at['folder'] + '/tofile')\ngot('saved')",
    "pickle": (
        "import base64\n"
        "code = b\"cos\\nsystem\\n(S'\" + hit('pickled').encode() + b\"'\\ntR.\"\n"
        "if modules['pickle'].loads(code) == 0:\n    got('ran')"
    ),
}
PROCESSES = {
    "system": "if os.system(hit('system')) == 0:\n    got('ran')",
    "exec": "os.execv('/bin/sh', ['sh', '-c', hit('exec')])",
    "spawn": "os.waitpid(os.posix_spawn('/bin/sh', ['sh', '-c', hit('spawn')], {}), 0)\ngot('ran')",
    "fork": "for _ in range(20):\n    if os.fork() == 0:\n        os._exit(0)\ngot('forked')",
    "thread": "modules['_thread'].start_new_thread(int, ())\ngot('started')",
}
NETWORK = {
    "connect": "socket.create_connection(('127.0.0.1', at['port']), 2).send(b'hit')\ngot('connected')",
    "listen": "socket.create_server(('127.0.0.1', 0))\ngot('listening')",
    "abstract_socket": "socket.socket(socket.AF_UNIX).connect('\\0' + at['abstract'])\ngot('connected')",
    "socketpair": "socket.socketpair()\ngot('made')",
    "getaddrinfo": "got(str(socket.getaddrinfo('localhost', 80)))",
    "pass_descriptor": (
        "channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=3)\n"
        "try:\n    socket.send_fds(channel, [b''], [0])\n    got('passed')\nfinally:\n    channel.detach()"
    ),
    "receive_descriptor": (
        "channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=3)\n"
        "try:\n    got(str(channel.recvmsg(1, 64, socket.MSG_DONTWAIT)))\nfinally:\n    channel.detach()"
    ),
}
# Whether a signal may be sent is asked with number 0, but for the victim, which is there for it.
SIGNALS = {
    "kill_the_victim": "os.kill(at['victim'], 9)\ngot('killed')",
    "kill_the_server": "os.kill(at['server'], 0)\ngot('killed')",
    "kill_the_parent": "os.kill(os.getppid(), 0)\ngot('killed')",
    "kill_everybody": "os.kill(-1, 0)\ngot('killed')",
    "kill_the_group": "os.kill(0, 0)\ngot('killed')",
    "stop_itself": "os.kill(os.getpid(), signal.SIGSTOP)\ngot('stopped')",
    "raise_a_signal": "signal.raise_signal(signal.SIGTERM)\ngot('raised')",
}
POWERS = {
    "setuid": "os.setuid(0)\ngot('root')",
    "setresuid": "os.setresuid(0, 0, 0)\ngot('root')",
    "setrlimit": (
        "resource = modules['resource']\nresource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))\ngot('raised')"
    ),
    "nice": "os.nice(-20)\ngot('first')",
}
SECRETS = {
    "environment": "if dict(os.environ):\n    got(dict(os.environ))",
    "frames": (
        "seen, frame = [], sys._getframe()\n"
        "while frame:\n    seen.append(str({**frame.f_globals, **frame.f_locals}))\n    frame = frame.f_back\n"
        "self.action['seen'] = [text[:20_000] for text in seen]"
    ),
    "descriptors": (
        "held = []\n"
        "for fd in [*range(4, 64)]:\n    try:\n        os.read(fd, 1)\n        held.append(fd)\n"
        "    except OSError as error:\n        if error.errno != 9:\n            held.append(fd)\n"
        "if held or os.read(0, 9):\n    got(held)"
    ),
    "garbage": (
        "texts = [v for o in gc.get_objects() if type(o) is dict for v in list(o.values()) if type(v) is str]\n"
        "words = ['mongo' + 'db:/' + '/', 'a cookie ' + 'secret for', 'by' + 'stander-mark']\n"
        "found = [t for t in texts for w in words if w in t and 'texts =' not in t]\n"
        "if found:\n    got(found)"
    ),
}
TIME = {
    "loop": "while True:\n    pass",
    "swallowed_exceptions": (
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
    ),
    "power": "x = 9\nx ** x ** x",
    "regular_expression": "import re\nre.match('(a+)+$', 'a' * 64 + 'b')",
    "loop_in_c": "import itertools\nany(itertools.repeat(0))",
    "ignored_alarm": "signal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True:\n    pass",
    "stopped_clock": "signal.setitimer(signal.ITIMER_REAL, 0)\nwhile True:\n    pass",
    "blocked_alarm": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True:\n    pass",
    "sleep": "import time\ntime.sleep(3600)",
    "wait_for_the_channel": "os.read(3, 1)",
    "looping_text": (
        "class Endless(Exception):\n    def __str__(self):\n        while True:\n            pass\nraise Endless"
    ),
    "late_answer": (
        "try:\n    while True:\n        pass\nexcept BaseException:\n    self.action['got'] = 'a success after the end'"
    ),
}
MEMORY = {
    "list": "[0] * 10**10",
    "growing_list": "x = [1]\nwhile True:\n    x += x",
    "zeros": "np.zeros(10**12)",
    "ones": "np.ones(2 * 10**8)",
    "text": "'x' * 10**10",
    "recursion": "def down():\n    down()\ndown()",
    "recursion_without_limit": "sys.setrecursionlimit(10**9)\ndef down():\n    return [down()]\ndown()",
    "stack_of_c": (
        "sys.setrecursionlimit(10**9)\nclass Deep:\n    def __repr__(self):\n        return repr(self)\nrepr(Deep())"
    ),
    "null_pointer": "ctypes.string_at(0)",
    "own_memory": "ctypes.memset(id(None), 255, 4096)\nctypes.memset(id(int), 255, 4096)",
}
EXITS = {
    "system_exit": "raise SystemExit(0)",
    "os_exit": "os._exit(0)",
    "keyboard_interrupt": "raise KeyboardInterrupt",
    "generator_exit": "raise GeneratorExit",
    "abort": "os.abort()",
    "close_the_channel": "os.close(3)\ngot('closed')",
}
RETURNS = {
    "large": "self.action['x'] = 'x' * 10**7",
    "many": "self.action['x'] = [0] * 10**6",
    "many_small": "self.action['x'] = [[] for _ in range(250_000)]\nself.set_theta({'x': [0] * 250_000})",
    "nan": "self.action['x'] = float('nan')",
    "infinity": "self.action['x'] = np.float64('inf')",
    "bytes": "self.action['x'] = b'x'",
    "set": "self.action['x'] = {1}",
    "circular": "self.action['x'] = self.action",
    "deep": "x = []\nfor _ in range(100_000):\n    x = [x]\nself.action['x'] = x",
    "number": "self.action['x'] = 10 ** 400",
    "surrogate": "self.action['x'] = '\\ud800'",
    "dollar": "self.action['$where'] = 1",
    "nul": "self.action['a\\0b'] = 1",
    "tuple_key": "self.action[(1, 2)] = 1",
    "not_a_dict": "self.action = 5",
    "nothing": "del self.action",
    "object": "self.action['x'] = object()",
    "evil_class": (
        "class Evil(dict):\n    def items(self):\n        raise SystemExit\n"
        "    __iter__ = keys = values = __len__ = __getitem__ = items\n    __class__ = str\n"
        "self.action['x'] = Evil(a=1j)"
    ),
    "evil_number": (
        "class Evil(int):\n    def __int__(self):\n        return 10**400\n    __float__ = __index__ = __int__\n"
        "self.action['x'] = Evil(10**300)"
    ),
    "evil_name": "raise type('x' * 10**7, (Exception,), {})()",
    "evil_metaclass": (
        "class Meta(type):\n    @property\n    def __name__(cls):\n        raise KeyboardInterrupt\n"
        "class Evil(Exception, metaclass=Meta):\n    pass\nraise Evil"
    ),
    "evil_message": "class Evil(Exception):\n    def __str__(self):\n        raise SystemExit\nraise Evil",
    "evil_key": "class Evil(str):\n    def __hash__(self):\n        raise SystemExit\nself.set_theta({Evil('a'): 1})",
    "long_key": "self.set_theta({}, 'x' * 10**6)",
    "long_question": "self.get_theta('x' * 10**6, 'y')",
    "odd_question": "self.get_theta('\\ud800', 'y')",
    "odd_experiment": "Experiment('\\ud800')",
    "many_rows": "while True:\n    self.log_data({})",
    "many_thetas": "n = 0\nwhile True:\n    n += 1\n    self.set_theta({}, 'k', n)",
}
# What a script needs to speak for its worker: the number of the frame, and the way it is answered.
FORGER = """\
frame = sys._getframe()
while frame.f_code.co_name != 'serve':
    frame = frame.f_back
number = frame.f_locals['number']
protocol, worker = modules['app.sandbox.protocol'], modules['app.sandbox.worker.main']
pack, victim = protocol.encode, at['bystander']
def answer(*outcomes, number=number):
    worker._write(protocol.framed(number, pack(['Reply', list(outcomes)])))
def done(result={}, writes=[], logs=[], debug=[], touched=[]):
    return ['Done', 0, result, writes, logs, debug, touched]
def leak():
    self.action['frame'] = str(os.read(3, 2**20))
    answer(done(self.action), number=number + 1)
raw = modules['msgspec'].Raw
own = self.exp_id
"""
CHANNEL = {
    "foreign_theta_written": (
        "answer(done({'x': 1}, [[victim, '_theta', 'arm', 'a', pack({'n': 10**6})]], [], [], [victim]))"
    ),
    "foreign_theta_deleted": "answer(done({'x': 1}, [[victim, '_theta', 'arm', '%s', None]]))",
    "foreign_head_touched": "answer(done({'x': 1}, touched=[victim, own]))",
    "unknown_experiment": "answer(done({'x': 1}, [['nobody', '_theta', 'arm', 'a', pack({})]]))",
    "foreign_theta_read": "answer(['Missed', 0, [[victim, '_theta', 'arm', '%s']], [], []])\nleak()",
    "foreign_range_read": "answer(['Missed', 0, [], [[victim, '_theta', None]], []])\nleak()",
    "foreign_program_read": "answer(['Missed', 0, [], [], [victim]])\nleak()",
    "theta_not_a_dict": "answer(done({}, [[own, '_theta', 'a', 'b', pack([1])]]))",
    "theta_not_messagepack": "answer(done({}, [[own, '_theta', 'a', 'b', b'\\xc1']]))",
    "theta_of_extensions": "answer(done({}, [[own, '_theta', 'a', 'b', b'\\x81\\xa1a\\xd4\\x05\\x00']]))",
    "theta_with_a_date": "answer(done({}, [[own, '_theta', 'a', 'b', b'\\x81\\xa1a\\xd6\\xff\\0\\0\\0\\0']]))",
    "theta_not_finite": "answer(done({}, [[own, '_theta', 'a', 'b', pack({'x': float('nan')})]]))",
    "theta_with_odd_keys": "answer(done({}, [[own, '_theta', 'a', 'b', pack({1: 1})]]))",
    "theta_with_a_long_name": "answer(done({}, [[own, '_theta', 'a' * 5_000, 'b', pack({})]]))",
    "theta_too_large": "answer(done({}, [[own, '_theta', 'a', 'b', pack({'x': 'x' * 5 * 2**20})]]))",
    "row_too_large": "answer(done({'x': 'x' * 300_000}))",
    "row_too_deep": "answer(done({'x': raw(b'\\x91' * 100_000 + b'\\xc0')}))",
    "row_not_finite": "answer(done({'x': 1e308 * 10}))",
    "row_with_large_numbers": "answer(done({'x': 2**64 - 1}))",
    "row_with_lists_as_keys": "answer(done(raw(b'\\x81\\x91\\x01\\x01')))",
    "logs_not_dicts": "answer(done({}, logs=[1]))",
    "tiny_values": "answer(done(raw(b'\\x81\\xa1x\\xdd\\x00\\x60\\x00\\x00' + b'\\x80' * 0x600000)))",
    "tiny_logs": "answer(done({}, logs=raw(b'\\xdd\\x00\\x70\\x00\\x00' + b'\\x80' * 0x700000)))",
    "tiny_thetas": "answer(done({}, [[own, '_theta', 'a', str(i), pack({'x': [[]] * 60_000})] for i in range(100)]))",
    "tiny_outcomes": (
        "worker._write(protocol.framed(number, b'\\x92\\xa5Reply\\xdd\\x00\\x70\\x00\\x00' + b'\\xc0' * 0x700000))"
    ),
    "tiny_misses": "answer(['Missed', 0, [], [], ['x']  * 1_000_000])",
    "long_error": "answer(['Failed', 0, 'get_action', 'x' * 10**6, None, None, False])",
    "odd_line": "answer(['Failed', 0, 'get_action', 'x', 2**63, None, False])",
    "odd_script": "answer(['Failed', 0, 'x' * 100, 'x', 1, None, False])",
    "put_off_for_ever": "answer(['PutOff', 0])",
    "missed_for_ever": (
        "while True:\n    answer(['Missed', 0, [], [], []], number=number)\n    number += 1\n    os.read(3, 2**20)"
    ),
    "another_item": "answer(['PutOff', 1])",
    "two_items": "answer(done(), done())",
    "no_item": "answer()",
    "another_frame": "answer(done(), number=number + 1)",
    "checked": "worker._write(protocol.framed(number, pack(['Checked', []])))",
    "twice": "answer(done({'x': 1}))\nanswer(done({'x': 2}))",
    "twice_at_once": "frame = protocol.framed(number, pack(['Reply', [done()]]))\nworker._write(frame + frame)",
    "flood": "while True:\n    worker._write(bytes(2**20))",
    "garbage": "worker._write(bytes(range(256)))",
    "endless_length": "worker._write(b'\\xff' * 4 + number.to_bytes(4, 'big') + b'x' * 100)",
    "not_messagepack": "worker._write(protocol.framed(number, b'\\xc1'))",
    "half_an_answer": "worker._write(protocol.framed(number, bytes(1000))[:500])\nmodules['time'].sleep(3600)",
    "slow": (
        "for byte in protocol.framed(number, bytes(1000)):\n    worker._write(bytes([byte]))\n    "
        "modules['time'].sleep(0.1)"
    ),
}
GROUPS = {
    "files": FILES,
    "numpy": NUMPY,
    "processes": PROCESSES,
    "network": NETWORK,
    "signals": SIGNALS,
    "powers": POWERS,
    "secrets": SECRETS,
    "time": TIME,
    "memory": MEMORY,
    "exits": EXITS,
    "returns": RETURNS,
}

# Numbers on x86-64. The filter looks at the number, so the arguments are such that nothing happens to the machine
# should it let one through: it then fails for another reason than EPERM, or succeeds at nothing.
SYSTEM_CALLS = {
    "open": (2, "b'/etc/passwd', 0"),
    "openat": (257, "-100, b'/etc/passwd', 0"),
    "openat2": (437, "-100, b'/etc/passwd', bytes(24), 24"),
    "open_by_handle_at": (304, "-100, bytes(64), 0"),
    "stat": (4, "b'/etc/passwd', bytes(256)"),
    "execve": (59, "b'/bin/true', 0, 0"),
    "execveat": (322, "-100, b'/bin/true', 0, 0, 0"),
    "fork": (57, ""),
    "vfork": (58, ""),
    "clone": (56, "17, 0, 0, 0, 0"),
    "clone3": (435, "bytes(88), 88"),
    "socket": (41, "2, 1, 0"),
    "connect": (42, "3, bytes(16), 16"),
    "sendto": (44, "3, b'x', 1, 0, 0, 0"),
    "sendmsg": (46, "3, bytes(56), 0"),
    "recvmsg": (47, "3, bytes(56), 64"),
    "ptrace": (101, "0, 0, 0, 0"),
    "process_vm_readv": (310, "os.getpid(), 0, 0, 0, 0, 0"),
    "process_vm_writev": (311, "os.getpid(), 0, 0, 0, 0, 0"),
    "process_madvise": (440, "3, 0, 0, 0, 0"),
    "io_uring_setup": (425, "8, bytes(120)"),
    "bpf": (321, "0, bytes(128), 128"),
    "userfaultfd": (323, "1"),
    "perf_event_open": (298, "bytes(128), 0, -1, -1, 0"),
    "memfd_create": (319, "b'x', 0"),
    "keyctl": (250, "0, -3, 0, 0, 0"),
    "add_key": (248, "b'user', b'x', b'y', 1, -3"),
    "unshare": (272, "0x10000000"),
    "setns": (308, "3, 0"),
    # What is mounted privately already becomes private: no harm if it gets through.
    "mount": (165, "b'none', b'/nowhere', b'tmpfs', 0, 0"),
    "pivot_root": (155, "b'/nowhere', b'/nowhere'"),
    "chdir": (80, "b'/'"),
    "mmap_writable_code": (9, "0, 4096, 7, 0x22, -1, 0"),
    "mprotect_code": (10, "ctypes.addressof(page) & ~4095, 4096, 7"),
    "pkey_mprotect": (329, "ctypes.addressof(page) & ~4095, 4096, 7, 0"),
    "kill": (62, "os.getpid(), 0"),
    "tgkill": (234, "os.getpid(), os.getpid(), 0"),
    "pidfd_open": (434, "os.getpid(), 0"),
    "pidfd_send_signal": (424, "3, 0, 0, 0"),
    "pidfd_getfd": (438, "3, 0, 0"),
    "prctl": (157, "1, 0, 0, 0, 0"),
    "prlimit64": (302, "0, 7, 0, bytes(16)"),
    "seccomp": (317, "0, 0, 0"),
    "setuid": (105, "65534"),
    "capset": (126, "bytes(8), bytes(24)"),
    "shmget": (29, "0, 4096, 0o1600"),
    "msgget": (68, "0, 0o1600"),
    "mq_open": (240, "b'x', 0o102, 0o600, 0"),
    "inotify_init": (253, ""),
    "fanotify_init": (300, "0, 0"),
    "eventfd": (284, "0"),
    "dup": (32, "3"),
    "close": (3, "3"),
    "fcntl": (72, "3, 1, 0"),
    "ioctl": (16, "3, 0x541B, bytes(8)"),
    "pipe": (22, "bytes(8)"),
    "timer_create": (222, "1, 0, bytes(8)"),
    "sched_setaffinity": (203, "0, 8, b'\\1' + bytes(7)"),
    "reboot": (169, "0, 0, 0, 0"),
    "init_module": (175, "bytes(8), 8, b''"),
    "kexec_load": (246, "0, 99, 0, 0"),
    "swapoff": (168, "b'/nowhere'"),
    "settimeofday": (164, "0, 0"),
    "sethostname": (170, "b'x', -1"),
    "arch_prctl": (158, "0x1003, bytes(8)"),
    "modify_ldt": (154, "0, bytes(16), 16"),
}


def system_call(name: str) -> str:
    """A script that makes one system call, whatever Python thinks of it, and tells the kernel's answer."""
    number, arguments = SYSTEM_CALLS[name]
    return (
        "page = ctypes.create_string_buffer(8192)\n"
        f"arguments = [ctypes.c_long(a) if type(a) is int else a for a in [{arguments}]]\n"
        f"if libc.syscall(ctypes.c_long({number}), *arguments) != -1:\n    got('done')\n"
        "self.action['errno'] = ctypes.get_errno()"
    )


def forgery(name: str) -> str:
    """A script that answers in its worker's place, and keeps the worker from answering as well."""
    return f"signal.setitimer(signal.ITIMER_REAL, 0)\n{FORGER}{CHANNEL[name]}\nos._exit(0)"


def scripts(attack: str) -> dict[str, str]:
    """An experiment whose get_action attacks, unless the context says that it should be calm."""
    body = indent(PRELUDE + attack, "    ")
    return {"get_action": f"if self.context.get('calm'):\n    self.action['calm'] = True\nelse:\n{body}\n"}
