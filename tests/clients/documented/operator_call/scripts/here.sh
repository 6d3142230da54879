#!/bin/sh
echo "here: $1"
