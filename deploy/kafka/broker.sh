#!/bin/sh
# Run one Kafka broker on this machine: `sh deploy/kafka/broker.sh FOLDER PORT`. The controller listens on PORT + 1.
#
# The jars come from Maven, once. Then this process becomes the broker: ending it ends the broker. Needs Java 17 and Maven.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
port=$2

fail() { printf 'kafka: %s\n' "$*" >&2; exit 1; }
command -v java >/dev/null 2>&1 || fail "Java is not installed. Debian: apt-get install openjdk-17-jre-headless"
if [ ! -d "$dir/libs" ]; then
  command -v mvn >/dev/null 2>&1 || fail "Maven is not installed. Debian: apt-get install maven"
  mvn -B -q -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/libs.part" -DincludeScope=runtime
  mv "$dir/libs.part" "$dir/libs"
fi

configuration=$dir/server.properties
sed "s|@DIR@|$dir|;s|@PORT@|$port|;s|@CTL@|$((port + 1))|" "$here/server.properties.in" > "$configuration"
set -- java -Xms64m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$dir/libs/*"
if [ ! -f "$dir/data/meta.properties" ]; then
  id=$(head -c16 /dev/urandom | base64 | tr '+/' '-_' | tr -d =)
  "$@" kafka.tools.StorageTool format --standalone -t "$id" -c "$configuration" >/dev/null
fi
printf 'kafka: 127.0.0.1:%s, log in %s\n' "$port" "$dir/broker.log" >&2
exec "$@" -Dlog4j2.level=INFO kafka.Kafka "$configuration" >"$dir/broker.log" 2>&1
