#!/bin/sh
mkdir -p here
touch here/$$
ls here | wc -l >> seen
sleep 0.2
rm here/$$
