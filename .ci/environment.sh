# Shared by ./demo and ./check: the virtual environment and the programs that tests use. Sourced, not run.

# What the tests use of Debian, and the program or file that shows that it is there.
DEBIAN_PACKAGES=(
  "mosquitto:/usr/sbin/mosquitto"                 # the broker that checks client certificates
  "age:/usr/bin/age"                              # the stock tool must open what we seal
  "ffmpeg:/usr/bin/ffmpeg"                        # a second decoder; ipycam films with it
  "chromium:/usr/bin/chromium"                    # a clip must play in a browser
  "dbus-daemon:/usr/bin/dbus-daemon"              # the private bus on which the bridge meets RAUC
  "rauc:/usr/bin/rauc"                            # the real updater: installs what a signed command brings, or refuses
  "squashfs-tools:/usr/bin/mksquashfs"            # RAUC's bundles are made with it
  "systemd:/usr/bin/systemd-analyze"              # judges our units; its logind restarts the machine, up to a point
  "polkitd:/usr/lib/polkit-1/polkitd"             # says who may have it do that
  "python3-gi:/usr/lib/python3/dist-packages/gi/__init__.py"
  "gir1.2-gst-rtsp-server-1.0:/usr/lib/*/girepository-1.0/GstRtspServer-1.0.typelib"
  "gstreamer1.0-plugins-good:/usr/share/doc/gstreamer1.0-plugins-good"
  "gstreamer1.0-plugins-bad:/usr/share/doc/gstreamer1.0-plugins-bad"
  "gstreamer1.0-plugins-ugly:/usr/share/doc/gstreamer1.0-plugins-ugly" # x264enc: a camera that nobody of us wrote
  "gstreamer1.0-tools:/usr/bin/gst-launch-1.0"    # players that people have; a clip must play in each of them
  "gstreamer1.0-libav:/usr/share/doc/gstreamer1.0-libav"
  "mpv:/usr/bin/mpv"
  "vlc-bin:/usr/bin/vlc"
  "vlc-plugin-base:/usr/share/doc/vlc-plugin-base"
  "strace:/usr/bin/strace"                        # a disk that answers with errors, asked for by the kernel's own calls
  "iproute2:/usr/sbin/ip"                         # network namespaces for cameras that talk to everybody
)

missing_packages() { # print the Debian packages that are not there
  local entry
  for entry in "${DEBIAN_PACKAGES[@]}"; do
    compgen -G "${entry#*:}" >/dev/null || echo "${entry%%:*}"
  done
}

install_system_packages() {
  local missing root=()
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then root=(sudo -n); fi
  if command -v apt-get >/dev/null && { ((EUID == 0)) || sudo -n true 2>/dev/null; }; then
    echo "== installing ${missing[*]}"
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update
    # No service may start because of us: the tests start their own, on free ports.
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
      apt-get -qq install --no-install-recommends -y "${missing[@]}" >/dev/null
    mapfile -t missing < <(missing_packages)
  fi
  if ((${#missing[@]})); then
    echo "The tests need these Debian packages: ${missing[*]}" >&2
    echo "Install them with: sudo apt-get install ${missing[*]}" >&2
    return 1
  fi
}

find_python() { # print a Python that is new enough and can make virtual environments
  local name
  for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if command -v "$name" >/dev/null &&
      "$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  echo "Python 3.11 or newer with venv is needed (Debian: apt-get install python3-venv)." >&2
  return 1
}

make_environment() { # make_environment EXTRA: .venv with this project and an extra of its pyproject.toml
  local extra=$1 mark=".venv/.installed-$1" wanted python
  wanted=$(cksum <pyproject.toml)
  [[ -f $mark && $(<"$mark") == "$wanted" ]] && return 0
  python=$(find_python)
  [[ -x .venv/bin/python ]] || "$python" -m venv .venv
  echo "== installing transom[$extra] into .venv (once)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --editable ".[$extra]"
  echo "$wanted" >"$mark"
}

install_node_packages() { # strangers from npm that tests meet: a store for uploads, a reader of what is sealed
  local folder place
  for folder in tests/real/*/; do
    [[ -f ${folder}package.json ]] || continue
    command -v npm >/dev/null || { echo "The tests need Node.js 20.19 or newer with npm." >&2; return 1; }
    place=.cache/$(basename "$folder")
    mkdir -p "$place"
    cmp -s "${folder}package-lock.json" "$place/package-lock.json" && [[ -d $place/node_modules ]] && continue
    cp "${folder}package.json" "${folder}package-lock.json" "$place/"
    (cd "$place" && npm ci --silent --no-audit --no-fund --omit=optional --ignore-scripts) || return 1
  done
}
