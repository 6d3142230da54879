#!/bin/sh
echo 40 kg
