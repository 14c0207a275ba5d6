#!/usr/bin/env python3
"""A small vpcd: listens, lets the virtual reader connect, and uses it as pcscd would."""
import socket
import struct
import subprocess
import sys

POWER_OFF, POWER_ON, RESET, GET_ATR = b"\x00", b"\x01", b"\x02", b"\x04"


def main():
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(20)
    port = server.getsockname()[1]
    address = [f"127.0.0.1:{port}"]
    reader = subprocess.Popen([sys.argv[1], *sys.argv[2:], *address])
    try:
        link, _ = server.accept()
        link.settimeout(20)

        def send(payload):
            link.sendall(struct.pack(">H", len(payload)) + payload)

        def receive():
            data = b""
            while len(data) < 2 or len(data) < 2 + struct.unpack(">H", data[:2])[0]:
                more = link.recv(4096)
                if not more:
                    sys.exit("FAILED: the virtual reader hung up")
                data += more
            return data[2:]

        def exchange(text):
            send(bytes.fromhex(text))
            answer = receive()
            print(f"{text} -> {answer.hex().upper()}")
            return answer

        send(GET_ATR)  # asked before the power is on, too
        off = receive()
        send(POWER_ON)
        send(GET_ATR)
        atr = receive()
        print("ATR", atr.hex().upper())
        assert atr[:1] == b"\x3b" and off == atr
        select = exchange("00A404000E325041592E5359532E444446303100")
        assert select[-2:] in (b"\x90\x00", b"\x6a\x82"), "SELECT PPSE"
        send(GET_ATR)
        assert receive() == atr
        answer = exchange("00B0FFFF00")
        assert len(answer) == 2 and answer[0] != 0x90, "a command that can't work"
        send(RESET)
        send(GET_ATR)
        assert receive() == atr
        assert exchange("00A404000E325041592E5359532E444446303100") == select, "the same after a reset"
        send(POWER_OFF)
        send(GET_ATR)
        assert receive() == atr
    finally:
        reader.kill()
        reader.wait()


if __name__ == "__main__":
    main()
